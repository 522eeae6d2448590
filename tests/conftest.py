"""The fixtures that every test may ask for by name; each lives in one file of tests/fixtures."""

pytest_plugins = [
    "tests.fixtures.watching",
    "tests.fixtures.plans",
    "tests.fixtures.warming",
    "tests.fixtures.postgresql",  # before those that import it, or pytest can't rewrite its asserts
    "tests.fixtures.databases",
    "tests.fixtures.valkey",
    "tests.fixtures.smtp",
    "tests.fixtures.alertmanager",
    "tests.fixtures.recorder",
    "tests.fixtures.pushover",
    "tests.fixtures.ntfy",
    "tests.fixtures.slack",
    "tests.fixtures.pagerduty",
    "tests.fixtures.listener",
    "tests.fixtures.desk",
    "tests.fixtures.parts",
]
