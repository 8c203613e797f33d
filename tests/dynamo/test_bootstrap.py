"""Any command outside a virtual environment makes one, keeps it complete, and runs in it."""

from __future__ import annotations

import ast
import functools
import http.server
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .project import BASE_PYTHON, ROOT, Project

pytestmark = pytest.mark.without_services


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose first start is over."""
    made = Project(tmp_path_factory.mktemp("made"))
    made.run("up").check_returncode()
    return made


@pytest.fixture
def copy(made: Project, tmp_path: Path) -> Project:
    """A copy of the finished project, to be changed."""
    copied = Project(tmp_path)
    shutil.copytree(made.environment, copied.environment, symlinks=True)
    return copied


def test_makes_the_environment_and_runs_the_command_in_it(project: Project) -> None:
    started = project.run("up", "--port", "8001")
    assert started.stdout == f"1.0 {project.environment} up --port 8001\n"
    assert f"Installing 1 requirements into {project.environment}" in started.stderr
    assert started.returncode == 0


def test_installs_nothing_at_the_next_start(made: Project) -> None:
    started = made.run("up", PIP_FIND_LINKS="/nowhere")
    assert (started.stdout, started.stderr) == (f"1.0 {made.environment} up\n", "")


@pytest.mark.parametrize("command", ["test", "benchmark", "clients"])
def test_adds_the_development_requirements_for_what_developers_run(copy: Project, command: str) -> None:
    assert not list(copy.environment.glob("lib/python3*/site-packages/extra.py"))
    assert copy.run(command).returncode == 0
    assert list(copy.environment.glob("lib/python3*/site-packages/extra.py"))
    assert copy.run("up").stderr == ""


def test_installs_a_changed_requirement(copy: Project) -> None:
    copy.require("charger==2.0")
    assert copy.run("up").stdout.startswith("2.0 ")


def test_keeps_a_working_environment_when_an_update_fails(copy: Project) -> None:
    copy.require("charger==3.0")
    refused = copy.run("up")
    assert refused.returncode == 1
    assert "the package index has no charger==3.0 for this Python" in refused.stderr
    copy.require("charger==1.0")
    assert copy.run("up", PIP_FIND_LINKS="/nowhere").stdout.startswith("1.0 ")


def test_repairs_an_interrupted_install(copy: Project) -> None:
    for module in copy.environment.glob("lib/python3*/site-packages/charger.py"):
        module.write_text("half a fi")
    (copy.environment / "dynamo-installing").touch()
    assert copy.run("up").stdout.startswith("1.0 ")


def test_makes_the_environment_again_when_its_python_is_gone(copy: Project) -> None:
    for link in copy.environment.glob("bin/python*"):
        link.unlink()
        link.symlink_to("/usr/bin/python-of-last-year")
    assert copy.run("up").stdout.startswith("1.0 ")


def test_lets_two_starts_at_once_share_one_install(project: Project) -> None:
    starts = [project.start("up"), project.start("up")]
    ends = [start.communicate(timeout=100) for start in starts]
    assert [out for out, _ in ends] == [f"1.0 {project.environment} up\n"] * 2
    assert sum("Installing 1 requirements" in err for _, err in ends) == 1


def test_installs_with_uv_where_it_is_on_the_path(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    uv = folder / "uv"
    uv.write_text("""#!/bin/sh
test "$1 $2 $3" = "pip install --python" || exit 9
python=$4
shift 4
"$python" -m ensurepip && "$python" -m pip install "$@" && echo "$@" > "${0%/*}/installed"
""")
    uv.chmod(0o755)
    assert project.run("up", PATH=f"{folder}:/usr/bin:/bin").stdout == f"1.0 {project.environment} up\n"
    assert (folder / "installed").read_text() == "charger==1.0\n"


def test_completes_an_environment_that_somebody_made_by_hand(project: Project) -> None:
    subprocess.run([BASE_PYTHON, "-m", "venv", "--without-pip", project.environment], check=True)
    assert project.run("up").stdout == f"1.0 {project.environment} up\n"


def test_says_in_one_sentence_what_an_active_environment_lacks(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run([BASE_PYTHON, "-m", "venv", "--without-pip", other], check=True)
    refused = project.run("up", python=other / "bin" / "python")
    assert refused.returncode == 1
    assert f"The active virtual environment {other} lacks charger==1.0" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not project.environment.exists()


def test_uses_an_active_environment_that_has_everything(project: Project, made: Project) -> None:
    started = project.run("up", python=made.environment / "bin" / "python")
    assert started.stdout == f"1.0 {made.environment} up\n"
    assert not project.environment.exists()


def test_stays_out_of_the_way_when_told(project: Project) -> None:
    started = project.run("up", DYNAMO_NO_BOOTSTRAP="1")
    assert "No module named 'charger'" in started.stderr
    assert not project.environment.exists()


def test_names_the_reason_in_one_sentence_without_a_network(project: Project) -> None:
    refused = project.run(
        "up", PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_RETRIES="1", PIP_INDEX_URL="http://127.0.0.1:9/simple"
    )
    *_, sentence = refused.stderr.splitlines()
    assert sentence.startswith("Cannot install the requirements: the package index cannot be reached.")
    assert len(refused.stderr.splitlines()) == 2
    assert refused.returncode == 1


def test_says_in_one_sentence_that_something_is_in_its_place(project: Project) -> None:
    project.environment.write_text("not a folder")
    refused = project.run("up")
    assert refused.stderr == f"Cannot make the environment {project.environment}: Not a directory.\n"
    assert refused.returncode == 1


def test_leaves_at_ctrl_c_in_one_sentence_and_repairs_at_the_next_start(project: Project) -> None:
    started = project.start("up")
    assert started.stderr is not None
    assert "Installing" in started.stderr.readline()
    started.send_signal(signal.SIGINT)
    assert started.communicate(timeout=60)[1].strip() == "Interrupted; the next start repairs the environment."
    assert started.returncode == 1
    assert project.run("up").stdout.startswith("1.0 ")


def test_manage_py_can_be_parsed_by_an_old_python() -> None:
    ast.parse((ROOT / "manage.py").read_text(), feature_version=(3, 6))


def test_every_requirement_is_pinned() -> None:
    from dynamo.bootstrap import requirements

    assert [text for text in requirements(with_development=True) if "==" not in text] == []


@pytest.fixture
def without_ensurepip(tmp_path: Path) -> str:
    """A folder for PYTHONPATH that makes Python look like Debian's without python3-venv."""
    folder = tmp_path / "debian"
    folder.mkdir()
    (folder / "ensurepip.py").write_text("raise ImportError('No module named ensurepip')\n")
    return str(folder)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index that offers pip, and versions of it that must not be taken."""
    find = "import ensurepip; print(ensurepip._get_packages()['pip'].wheel_path or ensurepip.__path__[0])"
    found = Path(subprocess.run([BASE_PYTHON, "-c", find], capture_output=True, text=True).stdout.strip())
    wheels = [found] if found.suffix == ".whl" else sorted(found.glob("_bundled/pip-*.whl"))
    if not wheels:
        pytest.skip("this Python brings no wheel of pip to serve")
    folder = tmp_path / "simple" / "pip"
    folder.mkdir(parents=True)
    shutil.copy(wheels[0], folder)
    links = [
        f'<a href="{wheels[0].name}">{wheels[0].name}</a>',
        '<a href="pip-98.0-py3-none-any.whl" data-yanked="broken">yanked</a>',
        '<a href="pip-99.0-py3-none-any.whl" data-requires-python="&gt;=3.99">for a later Python</a>',
        '<a href="pip-99.0.tar.gz">source</a>',
    ]
    (folder / "index.html").write_text("\n".join(links))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def test_downloads_pip_where_python_came_without_it(project: Project, without_ensurepip: str, index: str) -> None:
    started = project.run("up", PYTHONPATH=without_ensurepip, PIP_INDEX_URL=index)
    assert "downloading it" in started.stderr
    assert started.stdout == f"1.0 {project.environment} up\n"


def test_says_in_one_sentence_that_pip_cannot_be_downloaded(project: Project, without_ensurepip: str) -> None:
    refused = project.run("up", PYTHONPATH=without_ensurepip, PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert refused.stderr.splitlines()[-1] == "Cannot download pip: 127.0.0.1 cannot be reached (Connection refused)."
    assert refused.returncode == 1
