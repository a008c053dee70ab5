"""What is seen of a running core: the timeline, the report and the live page."""

from agentrm_plugins.telemetry.page import LivePage, asgi_app, report_html, write_report

__all__ = ["LivePage", "asgi_app", "report_html", "write_report"]
