"""The keys of agents in `Statistics`: one text for a tenant and an agent."""

from __future__ import annotations

__all__ = ["agent_key", "agent_of_key"]


def agent_key(tenant: str, agent: str) -> str:
    """The key of an agent in `Statistics`, which is no other agent's: text, so that JSON takes it.

    An agent of the tenant "default" is called by its name alone, all others ``tenant/agent``, and
    so are those of "default" whose name has a slash. In the tenant's name slashes are written
    ``%2F`` (and ``%`` is ``%25``), so that the first slash always ends the tenant.

    >>> agent_key("default", "ada"), agent_key("acme", "ada"), agent_key("default", "ada/batch")
    ('ada', 'acme/ada', 'default/ada/batch')
    >>> agent_key("a", "b/c"), agent_key("a/b", "c")
    ('a/b/c', 'a%2Fb/c')
    """
    if tenant == "default" and "/" not in agent:
        return agent
    if "/" in tenant or "%" in tenant:
        tenant = tenant.replace("%", "%25").replace("/", "%2F")
    return f"{tenant}/{agent}"


def agent_of_key(key: str) -> tuple[str, str]:
    """Tenant and agent of a key that `agent_key` made.

    >>> agent_of_key("ada"), agent_of_key("acme/ada"), agent_of_key("a%2Fb/c/d")
    (('default', 'ada'), ('acme', 'ada'), ('a/b', 'c/d'))
    """
    tenant, slash, agent = key.partition("/")
    if not slash:
        return "default", key
    return tenant.replace("%2F", "/").replace("%25", "%"), agent
