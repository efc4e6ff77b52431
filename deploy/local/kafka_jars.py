"""Java and the jars of Apache Kafka: found, or fetched once by Maven from the pinned `kafka-jars/pom.xml`."""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
JARS: Final = ROOT / ".kafka"
POM: Final = Path(__file__).parent / "kafka-jars" / "pom.xml"
JAVA_AT_LEAST: Final = 17
STAMP: Final = "pom.sha256"


class KafkaUnavailableError(Exception):
    """A real broker cannot be run here; the message says what is missing and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Java:
    """A Java that can run the broker."""

    program: str
    version: int


def find_java() -> Java:
    """Find Java of `JAVA_HOME` or of the path, recent enough for Kafka 4."""
    home = os.environ.get("JAVA_HOME")  # where Java is, by everybody's convention; not a setting of ours
    candidates = (str(Path(home) / "bin" / "java") if home else None, shutil.which("java"))
    too_old: list[str] = []
    for program in filter(None, candidates):
        version = _version_of(program)
        if version is not None and version >= JAVA_AT_LEAST:
            return Java(program=program, version=version)
        too_old.append(f"{program} is {version or 'of an unknown version'}")
    found = f" ({'; '.join(too_old)})" if too_old else ""
    raise KafkaUnavailableError(
        f"Java {JAVA_AT_LEAST} or later is needed for Kafka and was not found{found}: install it (on Debian or "
        f"Ubuntu `apt-get install openjdk-17-jre-headless`), or set OTKLIK_KAFKA_BOOTSTRAP_SERVERS"
    )


@functools.lru_cache
def _version_of(program: str) -> int | None:
    try:
        said = subprocess.run(  # noqa: S603 - the program was found, not given
            (program, "-version"), capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(\d+)', said.stderr + said.stdout)
    return int(found[1]) if found else None


def jars_present() -> bool:
    """Whether the jars of the present pom are there."""
    stamp = JARS / STAMP
    return stamp.exists() and stamp.read_text(encoding="ascii") == _pom_digest()


def require_jars_or_maven() -> None:
    """Refuse where the jars neither are there nor can be fetched."""
    if not jars_present():
        _find_maven()


def _find_maven() -> str:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailableError(
            "the jars of Kafka are not there, and neither is Maven to fetch them: install it (on Debian or Ubuntu "
            "`apt-get install maven`) and run `make setup`, or set OTKLIK_KAFKA_BOOTSTRAP_SERVERS"
        )
    return maven


def fetch_jars() -> None:
    """Have Maven copy the jars, beside their place first, so that half a download is never taken for a whole."""
    maven = _find_maven()
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".kafka.new.") as unfinished:
        target = Path(unfinished) / "jars"
        arguments = ("-B", "-ntp", "-q", "-f", str(POM), "dependency:copy-dependencies")
        done = subprocess.run(  # noqa: S603 - the argument list is our own
            (maven, *arguments, f"-DoutputDirectory={target}"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise KafkaUnavailableError(f"Maven could not fetch the jars of Kafka:\n{done.stdout.strip()}")
        (target / STAMP).write_text(_pom_digest(), encoding="ascii")
        if JARS.exists():
            shutil.rmtree(JARS)
        target.rename(JARS)


def ensure_jars() -> None:
    """Fetch the jars unless they are there."""
    if not jars_present():
        fetch_jars()


def classpath() -> str:
    """List the jars, always in the same order: an archive of their classes holds only for the order it was made in."""
    return os.pathsep.join(sorted(str(jar) for jar in JARS.glob("*.jar")))


def class_archive(java: Java) -> Path:
    """Choose the file of the classes that a starting broker needs, loaded and checked before: half of its start."""
    return JARS / f"classes-{java.version}.jsa"


def _pom_digest() -> str:
    return hashlib.sha256(POM.read_bytes()).hexdigest()
