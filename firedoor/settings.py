"""The settings of one installation, and the only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from urllib.parse import urlsplit

from firedoor import secretfiles
from firedoor.addresses import address, is_elsewhere, is_url, mail_host
from incidents.errors import FiredoorError
from ports.outgoing import OWN_NETWORKS, Network, read_networks

PACKAGE_RUNBOOKS = Path(__file__).resolve().parent.parent / "runbooks"
GENERATED = (
    "secret_key",
    "alertmanager_token",
    "heartbeat_token",
    "deploys_token",
    "api_token",
)  # written to HOME/secrets by `up` and `release`
PREVIOUS = "_PREVIOUS"  # ends the name of a secret that is being replaced and still counts
SOCKET_PATH_LIMIT = 100  # a unix socket's path holds 108 bytes on Linux, 104 on macOS


class WrongSettings(FiredoorError):
    """A setting is wrong."""

    code = "settings"

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: its name, what it is for, and the default as the docs say it."""

    name: str
    meaning: str
    default: str = ""


VARIABLES = (
    Variable("FIREDOOR_HOME", "the folder for everything that Firedoor writes", "./var"),
    Variable("FIREDOOR_HOST", "the address that the web process listens on", "127.0.0.1"),
    Variable("FIREDOOR_PORT", "its port", "8080"),
    Variable("FIREDOOR_PUBLIC_URL", "how people's browsers reach it", "http://HOST:PORT"),
    Variable("FIREDOOR_POLICY", "the policy file", "./firedoor.yaml, else the shipped policy"),
    Variable("FIREDOOR_RUNBOOKS", "the folder of runbooks", "./runbooks, else the shipped runbooks"),
    Variable("FIREDOOR_DATABASE_URL", "the database", "sqlite:///HOME/firedoor.db"),
    Variable("FIREDOOR_REDIS_URL", "a Redis or Valkey", "an embedded Valkey, under `firedoor up`"),
    Variable("FIREDOOR_SECRET_KEY", "signs acknowledging links and sessions", "HOME/secrets/secret_key"),
    Variable("FIREDOOR_<SOURCE>_TOKEN", "what a sender shows: bearer token or basic password", "see below"),
    Variable("FIREDOOR_<SOURCE>_SECRET", "what a sender signs its body with", "none"),
    Variable("FIREDOOR_HEARTBEAT_URL", "asked every 30 s while all is well, so that another watches us", "none"),
    Variable("FIREDOOR_CANARY", "where the page that proves the road goes: CHANNEL or CHANNEL:ADDRESS", "log"),
    Variable("FIREDOOR_SMTP_URL", "the mail server", "none: pages go to the log channel"),
    Variable("FIREDOOR_MAIL_FROM", "the sender of pages", "firedoor@ the public URL's host"),
    Variable("FIREDOOR_MAIL_TO", "where the shipped policy sends pages", "none"),
    Variable("FIREDOOR_OUTGOING", "where a policy's addresses may lead, beside the internet", "own-networks"),
    Variable("FIREDOOR_OIDC_ISSUER", "the identity provider that signs people in", "none"),
    Variable("FIREDOOR_OIDC_CLIENT_ID", "who Firedoor is to it", "none"),
    Variable("FIREDOOR_OIDC_CLIENT_SECRET", "what Firedoor proves itself to it by", "none"),
    Variable("FIREDOOR_URL", "the Firedoor that the command line talks to", "FIREDOOR_PUBLIC_URL"),
    Variable("FIREDOOR_TOKEN", "the API token that the command line shows", "HOME/secrets/api_token"),
)


@dataclass(frozen=True)
class Settings:
    """What this process was told. Secrets stay out of the repr, and so out of logs and tracebacks."""

    home: Path
    host: str
    port: int
    public_url: str
    policy_path: Path | None  # None: the shipped policy
    runbooks_path: Path
    url: str
    mail_from: str
    mail_to: str | None
    database_url: str = field(repr=False)
    redis_url: str | None = field(repr=False)  # None: `up` embeds one
    secret_key: str = field(repr=False)
    token: str = field(repr=False)
    heartbeat_url: str | None = field(repr=False)
    canary: str = field(repr=False)
    outgoing: Sequence[Network] | None  # None: every network of our own
    oidc_issuer: str | None
    oidc_client_id: str | None
    oidc_client_secret: str | None = field(repr=False)
    smtp_url: str | None = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read everything, and refuse with all faults at once."""
        return Reading(dict(os.environ if environ is None else environ)).settings()

    def source_secrets(self, name: str) -> list[bytes]:
        """What the sender called `name` may prove itself by. Two live ones while a secret is being replaced."""
        stem = re.sub(r"[^A-Z0-9]", "_", name.upper())
        names = [f"FIREDOOR_{stem}_{kind}" for kind in ("TOKEN", "SECRET")]
        told = [self.lookup(f"env:{one}{which}") for one in names for which in ("", PREVIOUS)]
        found = [one for text in told if text for one in re.split(r"[,\s]+", text) if one]
        return [one.encode() for one in found or secretfiles.kept(self.home, f"{name}_token")]

    def lookup(self, reference: str) -> str | None:
        """The value behind `env:NAME` or `file:PATH` of a policy; None where there is none."""
        kind, _, name = reference.partition(":")
        if kind == "file":
            return secretfiles.read(Path(name))
        if kind != "env":
            return None
        if self.environ.get(name):
            return self.environ[name]
        path = secretfiles.file_of(self.environ, name)
        if path is not None:
            return secretfiles.read(path)
        return self.mail_from if name == "FIREDOOR_MAIL_FROM" else None  # the one with a default that a policy asks for

    def file_behind(self, reference: str) -> Path | None:
        """The file that `env:NAME` or `file:PATH` of a policy is read from; None where it is no file."""
        kind, _, name = reference.partition(":")
        return Path(name) if kind == "file" else secretfiles.file_of(self.environ, name) if kind == "env" else None

    @property
    def local_url(self) -> str:
        """The web process, asked from this machine."""
        return address(self.host, self.port)

    @property
    def secrets_folder(self) -> Path:
        return self.home / "secrets"

    @property
    def embedded_socket(self) -> Path:
        """Where the Valkey of `up` listens: in HOME, or in a short private folder where HOME is too deep for one."""
        inside = self.home / "valkey.sock"
        if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT:
            return inside
        digest = sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path(gettempdir()) / f"firedoor-{os.getuid()}-{digest}" / "valkey.sock"

    @property
    def embedded_redis_url(self) -> str:
        return f"unix://{self.embedded_socket}"

    def secret_values(self) -> list[str]:
        """Everything that no log line may ever hold."""
        names = {name.removesuffix("_FILE") for name in self.environ}
        asked = [name for name in names if re.fullmatch(r"FIREDOOR_.*(TOKEN|SECRET|KEY)(_PREVIOUS)?", name)]
        named = [self.lookup(f"env:{name}") for name in (*asked, *secretfiles.credentials(self.environ))]
        inside = [urlsplit(url).password for url in (self.database_url, self.redis_url, self.smtp_url) if url]
        kept = [value for name in GENERATED for value in secretfiles.kept(self.home, name)]
        return sorted({value for value in [*named, *inside, *kept, self.secret_key, self.token] if value}, key=len)[
            ::-1
        ]

    def write_missing_secrets(self) -> Settings:
        """Generate what is absent from HOME/secrets, readable by us alone, and answer the settings that know them."""
        self.secrets_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in GENERATED:
            secretfiles.write(self.secrets_folder / name)
        key = self.secret_key or secretfiles.kept(self.home, "secret_key")[0]
        return replace(self, secret_key=key, token=self.token or secretfiles.kept(self.home, "api_token")[0])


class Reading:
    """One pass over the environment that collects every fault before it gives up."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        self.faults: list[str] = []

    def settings(self) -> Settings:
        home = Path(self.text("HOME") or "var").expanduser().absolute()
        host = self.text("HOST") or "127.0.0.1"
        port = self.port()
        public_url = self.url("PUBLIC_URL", ("http", "https"), "https://firedoor.example.com") or address(host, port)
        elsewhere = self.url("URL", ("http", "https"), "https://firedoor.example.com")
        settings = Settings(
            home=home,
            host=host,
            port=port,
            public_url=public_url,
            policy_path=self.policy_path(),
            runbooks_path=self.runbooks_path(),
            url=elsewhere or public_url,
            mail_from=self.mailbox("MAIL_FROM") or f"firedoor@{mail_host(public_url)}",
            mail_to=self.mailbox("MAIL_TO"),
            database_url=self.database_url(home),
            redis_url=self.redis_url(),
            secret_key=self.secret_key() or _first(secretfiles.kept(home, "secret_key")),
            token=self.text("TOKEN")
            or ("" if is_elsewhere(elsewhere, public_url) else _first(secretfiles.kept(home, "api_token"))),
            heartbeat_url=self.url("HEARTBEAT_URL", ("http", "https"), "https://watch.example.com/ping/firedoor"),
            canary=self.text("CANARY") or "log",
            outgoing=self.networks(),
            oidc_issuer=self.issuer(),
            oidc_client_id=self.text("OIDC_CLIENT_ID"),
            oidc_client_secret=self.text("OIDC_CLIENT_SECRET"),
            smtp_url=self.url("SMTP_URL", ("smtp", "smtps"), "smtp://user:password@mail.example.com:587"),
            environ=self.environ,
        )
        self.read_source_files()
        if self.faults:
            raise WrongSettings(self.faults)
        return settings

    def text(self, short: str) -> str | None:
        """The value of FIREDOOR_<short>, or the content of the file that FIREDOOR_<short>_FILE names."""
        name = f"FIREDOOR_{short}"
        value, path = self.environ.get(name), secretfiles.file_of(self.environ, name)
        if value and self.environ.get(f"{name}_FILE"):
            self.faults.append(f"{name} and {name}_FILE are both set: keep one of them.")
        if value or path is None:
            return value or None
        content = secretfiles.read(path)
        if content is None:
            self.faults.append(f"{name}_FILE names {path}, which can't be read: give the path of a text file.")
        return content or None

    def port(self) -> int:
        text = self.text("PORT") or "8080"
        if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
            return int(text)
        self.faults.append(f"FIREDOOR_PORT is {text!r}. Accepted: a number from 1 to 65535.")
        return 0

    def url(self, short: str, schemes: tuple[str, ...], example: str) -> str | None:
        text = self.text(short)
        if text is None:
            return None
        if is_url(text, schemes):
            return text.rstrip("/")
        # The value may hold a password: the sentence names the variable only.
        self.faults.append(
            f"FIREDOOR_{short} is not an address that begins with {_spoken(schemes)}. Example: {example}"
        )
        return None

    def networks(self) -> Sequence[Network] | None:
        text = self.text("OUTGOING") or OWN_NETWORKS
        try:
            return read_networks(text)
        except ValueError:
            self.faults.append(
                f"FIREDOOR_OUTGOING is {text!r}. Accepted: {OWN_NETWORKS}, none, or networks like 10.0.0.0/8."
            )
            return []

    def issuer(self) -> str | None:
        """The identity provider, by all that it takes or by nothing. In clear only on this machine: a trial's."""
        issuer = self.url("OIDC_ISSUER", ("https", "http"), "https://id.example.com")
        told = [bool(issuer), bool(self.text("OIDC_CLIENT_ID")), bool(self.text("OIDC_CLIENT_SECRET"))]
        if any(told) and not all(told):
            self.faults.append(
                "FIREDOOR_OIDC_ISSUER, FIREDOOR_OIDC_CLIENT_ID and FIREDOOR_OIDC_CLIENT_SECRET belong together: "
                "set all three, or none."
            )
        if issuer and issuer.startswith("http://") and urlsplit(issuer).hostname not in ("127.0.0.1", "localhost"):
            self.faults.append(
                "FIREDOOR_OIDC_ISSUER must begin with https://: whoever is on the way could sign in as anybody."
            )
        return issuer

    def mailbox(self, short: str) -> str | None:
        text = self.text(short)
        if text is None or re.fullmatch(r"[^@\r\n]+@[^@\s]+", text):
            return text
        self.faults.append(f"FIREDOOR_{short} is {text!r}. Accepted: an e-mail address, like oncall@example.com.")
        return None

    def policy_path(self) -> Path | None:
        told = self.text("POLICY")
        path = Path(told or "firedoor.yaml").expanduser().absolute()
        if path.is_file():
            return path
        if told:
            self.faults.append(f"FIREDOOR_POLICY is {told}, which is not a file. Accepted: the path of a policy file.")
        return None

    def runbooks_path(self) -> Path:
        told = self.text("RUNBOOKS")
        path = Path(told or "runbooks").expanduser().absolute()
        if path.is_dir():
            return path
        if told:
            self.faults.append(f"FIREDOOR_RUNBOOKS is {told}, which is not a folder. Accepted: a folder of runbooks.")
        return PACKAGE_RUNBOOKS

    def database_url(self, home: Path) -> str:
        text = self.text("DATABASE_URL") or f"sqlite:///{home}/firedoor.db"
        for scheme in ("postgres://", "postgresql://", "postgresql+psycopg://"):
            if text.startswith(scheme):
                return f"postgresql+psycopg://{text.removeprefix(scheme)}"
        if text.startswith("sqlite:///") and text != "sqlite:///:memory:":
            return text
        self.faults.append(
            "FIREDOOR_DATABASE_URL is not a database that Firedoor keeps its rows in. "
            "Accepted: sqlite:///PATH, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
        )
        return text

    def redis_url(self) -> str | None:
        text = self.text("REDIS_URL")
        if text is None:
            return None
        text = re.sub(r"^valkey(s?)://", r"redis\1://", text)
        if text.startswith("unix:///") or is_url(text, ("redis", "rediss")):
            return text
        self.faults.append(
            "FIREDOOR_REDIS_URL is not the address of a Redis or Valkey. "
            "Accepted: redis://HOST:PORT/0, rediss://…, valkey://… or unix:///PATH."
        )
        return None

    def secret_key(self) -> str:
        text = self.text("SECRET_KEY") or ""
        if text and len(text) < 32:
            self.faults.append("FIREDOOR_SECRET_KEY is too short. Accepted: at least 32 characters, made at random.")
        return text

    def read_source_files(self) -> None:
        """A sender's secret file that is missing is a fault now, not a 401 at night."""
        for name in self.environ:
            if found := re.fullmatch(r"FIREDOOR_(.+_(?:TOKEN|SECRET)(?:_PREVIOUS)?)_FILE", name):
                self.text(found[1])


def _first(values: list[str]) -> str:
    return values[0] if values else ""


def _spoken(schemes: tuple[str, ...]) -> str:
    return " or ".join(f"{scheme}://" for scheme in schemes)
