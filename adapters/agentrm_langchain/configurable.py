"""Models that are made only when they are called: `init_chat_model(configurable_fields=...)`.

Such an object is no chat model. It makes one for each call, of the fields that the call's config
names, and then applies what was asked of it before (`bind_tools`, `with_config`). Managed, it is of
its own class still, and the model that it makes is managed before any of that is applied.

Fields of a managed model that a config may change are described as those of the bare one are.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables.configurable import RunnableConfigurableFields
from langchain_core.runnables.utils import get_unique_config_specs

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import AIMessage

__all__ = ["is_configurable", "managed_configurable", "managed_fields"]

_MODULE = "langchain.chat_models.base"
_MANAGE = "_agentrm_manage"
_RM = "_agentrm_rm"


def is_configurable(model: object) -> bool:
    """Whether `init_chat_model` made it, to be configured later."""
    kind = getattr(sys.modules.get(_MODULE), "_ConfigurableModel", None)
    return kind is not None and isinstance(model, kind)


def managed_configurable(model: Any, rm: Any, manage: Callable[[Any], Any]) -> Any:
    """A copy of a configurable model whose every call is managed.

    Args:
        model: What `is_configurable` says yes to.
        rm: The core that manages it.
        manage: Gives the managed model for a bare one.
    """
    managed: Any = object.__new__(_managed_class(cast("Any", _origin(model))))
    managed.__dict__.update(model.__dict__)
    managed.__dict__.update({_MANAGE: manage, _RM: rm})
    return managed


def _origin(model: object) -> type[Any]:
    return next(kind for kind in type(model).__mro__ if not hasattr(kind, "_is_agentrm"))


@lru_cache(maxsize=8)
def _managed_class(kind: Any) -> type[Any]:
    """A subclass under the same name, whose copies are managed too."""

    class Managed(kind):  # type: ignore[misc]
        _is_agentrm = True

        def __getattr__(self, name: str) -> Any:
            found = super().__getattr__(name)
            if getattr(found, "__qualname__", "").endswith("__getattr__.<locals>.queue"):
                return lambda *args, **kwargs: self._again(found(*args, **kwargs))
            return found

        def _again(self, made: Any) -> Any:
            return managed_configurable(made, self.__dict__[_RM], self.__dict__[_MANAGE])

        def with_config(self, config: Any = None, **kwargs: Any) -> Any:
            """The same with a config, managed as this one is."""
            return self._again(super().with_config(config, **kwargs))

        def _model(self, config: Any = None) -> Any:
            bare = object.__new__(kind)
            bare.__dict__.update(self.__dict__)
            bare.__dict__["_queued_declarative_operations"] = []
            model = self.__dict__[_MANAGE](bare._model(config))
            for name, args, kwargs in self._queued_declarative_operations:
                model = getattr(model, name)(*args, **kwargs)
            return model

    Managed.__name__, Managed.__qualname__ = kind.__name__, kind.__qualname__
    Managed.__module__, Managed.__doc__ = kind.__module__, kind.__doc__
    return Managed


class _Fields(RunnableConfigurableFields):  # type: ignore[type-arg]
    """Fields of a managed model, some of which only the inner model's class describes."""

    @property
    def config_specs(self) -> list[Any]:
        """What a config may change, as a server asks for it at its start."""
        managed: Any = self.default
        specs = [*managed.config_specs]
        for name, spec in self.fields.items():
            model = managed if name in type(managed).model_fields else managed.inner
            one: Any = RunnableConfigurableFields.model_construct(
                default=model, fields={name: spec}
            )
            specs += RunnableConfigurableFields.config_specs.fget(one)  # type: ignore[attr-defined]
        return list(get_unique_config_specs(specs))


_Fields.__name__ = _Fields.__qualname__ = RunnableConfigurableFields.__name__


def managed_fields(
    model: Any, fields: dict[str, Any]
) -> RunnableConfigurableFields[LanguageModelInput, AIMessage]:
    """A managed model some of whose fields a config may change.

    Args:
        model: The managed model.
        fields: Names and how each is configured, as LangChain's `configurable_fields` takes them.
    """
    return _Fields(default=model, fields=fields)
