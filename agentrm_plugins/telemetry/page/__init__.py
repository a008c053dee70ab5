"""One page, two ways: the report in a file, and the live page over server-sent events."""

from agentrm_plugins.telemetry.page.asgi import LivePage, asgi_app
from agentrm_plugins.telemetry.page.report import report_html, write_report

__all__ = ["LivePage", "asgi_app", "report_html", "write_report"]
