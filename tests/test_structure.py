"""The house's rules, read off the imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import keys, looks

ROOT = Path(__file__).parent.parent
LAYERS = {"app": 3, "training": 2, "renderer": 1, "shaders": 0, "assets": 0}
FILES = sorted(p for package in LAYERS for p in (ROOT / package).rglob("*.py"))


def imports(path: Path, only_at_start: bool = False) -> Iterator[str]:
    """Modules that a file imports; with ``only_at_start`` those outside functions."""
    tree = ast.parse(path.read_text())
    inside = set()
    if only_at_start:
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                inside |= set(ast.walk(function))
    for node in ast.walk(tree):
        if node in inside:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module or ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    own = LAYERS[path.relative_to(ROOT).parts[0]]
    for module in imports(path):
        top = module.partition(".")[0]
        assert top != "tests", f"imports {module}"
        if top in LAYERS:
            assert LAYERS[top] <= own, f"imports {module}"


@pytest.mark.parametrize(
    ("library", "home"), [("OpenGL", "renderer/gl"), ("glfw", "renderer/gl"), ("dearpygui", "app/gui")]
)
def test_a_library_is_used_in_one_place(library: str, home: str) -> None:
    users = {p for p in FILES if any(m.partition(".")[0] == library for m in imports(p))}
    assert all((ROOT / home) in p.parents for p in users), users


def test_one_module_imports_cupy_and_nobody_imports_it_at_start_up() -> None:
    users = [p for p in FILES if any(m.partition(".")[0] == "cupy" for m in imports(p))]
    assert users == [ROOT / "renderer" / "cuda" / "device.py"]
    named = [p for p in FILES for node in ast.walk(ast.parse(p.read_text())) if isinstance(node, ast.ImportFrom)
             if node.module == "renderer.cuda" and any(alias.name == "device" for alias in node.names)]  # fmt: skip
    assert not named, "import what is needed from renderer.cuda.device, so that this test sees where"
    assert not [p for p in FILES if "renderer.cuda.device" in imports(p, only_at_start=True)]


def test_only_the_command_line_prints() -> None:
    for path in FILES:
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        prints = [n for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
        assert not prints or path.relative_to(ROOT).as_posix() in ("app/cli.py", "app/gui/main.py"), path


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {}
    for path in FILES:
        name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        graph[name] = set(imports(path, only_at_start=True))
    visiting: list[str] = []
    finished: set[str] = set()

    def visit(module: str) -> None:
        assert module not in visiting, " -> ".join([*visiting, module])
        if module in finished or module not in graph:
            return
        visiting.append(module)
        for used in graph[module] - {module}:
            visit(used)
        visiting.pop()
        finished.add(module)

    for module in graph:
        visit(module)


PANELS = ("picture", "rays", "training", "distortion", "path", "export", "timeline", "start")


@pytest.mark.parametrize("panel", PANELS)
def test_no_panel_imports_another(panel: str) -> None:
    others = tuple(f"app.gui.{other}" for other in PANELS if other != panel)
    for path in (ROOT / "app" / "gui" / panel).glob("*.py"):
        taken = [module for module in imports(path) if module.startswith(others)]
        assert not taken, f"{path.name} imports {taken}"


def test_pure_state_of_the_window_knows_no_widgets() -> None:
    for name in ("stage", "navigation"):
        assert "dearpygui.dearpygui" not in imports(ROOT / "app" / "gui" / f"{name}.py")


def offered_actions() -> set[str]:
    """Names of actions that panels and the window do something for; of those that are numbered, what is before the
    number and a star."""
    found = set()
    for path in (ROOT / "app" / "gui").rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef) or not function.name.endswith("actions"):
                continue
            for table in (node for node in ast.walk(function) if isinstance(node, ast.Dict)):
                found |= {key.value for key in table.keys if isinstance(key, ast.Constant)}
            for text in (node for node in ast.walk(function) if isinstance(node, ast.JoinedStr)):
                found |= {f"{part.value}*" for part in text.values[:1] if isinstance(part, ast.Constant)}
    return found


def test_every_key_does_something() -> None:
    offered = offered_actions()
    numbered = {f"mode.{k + 1}" for k in range(len(looks.MODES))} if "mode.*" in offered else set()
    idle = [a.name for a in keys.ACTIONS if not a.held and a.name not in offered | numbered]
    assert not idle, f"nobody does {idle}"


def test_every_entry_of_a_menu_does_something() -> None:
    tree = ast.parse((ROOT / "app" / "gui" / "menus.py").read_text())
    (table,) = (n.value for n in tree.body if isinstance(n, ast.AnnAssign) and ast.unparse(n.target) == "MENUS")
    named = {action for _, entries in ast.literal_eval(table) for _, action in entries if action}
    assert len(named) > 20 and named <= offered_actions(), named - offered_actions()
