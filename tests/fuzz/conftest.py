import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was sent: a run that sent nothing proves nothing."""
    for report in terminalreporter.getreports("passed"):
        for name, told in report.user_properties:
            if name == "sent":
                terminalreporter.write_line(f"{report.head_line}: {told}")
