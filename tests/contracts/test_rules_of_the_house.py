"""The rules of the house that no type can hold: what code may name, call and import. Docstrings may give examples."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pyspark
import pytest

from ronghe import jars
from ronghe.contracts import load_sources
from ronghe.contracts.guard import forbidden

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "ronghe"
CODE = sorted(path for folder in ("src/ronghe", "jobs", "dags", "plugins") for path in (ROOT / folder).rglob("*.py"))
DAGS = [path for path in CODE if path.parent == ROOT / "dags"]
TRANSFORMS = [path for path in CODE if path.parent.name in ("fuse", "livelihood", "risk", "standardise", "privacy")]
NO_SIMULATION = [path for path in CODE if path.parent != PACKAGE / "simulate"]
# Tests that need more than Python, by the folder that says what.
MARKED = sorted(
    path
    for folder in ("spark", "dags", "engine", "pipeline", "faults")
    for path in (ROOT / "tests" / folder).rglob("test_*.py")
)

# The sources there are and the ones still to come.
SOURCE_NAMES = {"guiyang", "nanjing", "xinjiang", "shenzhen", "chengdu", "贵阳", "南京", "新疆", "深圳", "成都"}
SOURCE_NAMES |= {"cyberspace", "网络空间"}
# Not there over Spark Connect, or a function called once for each row, or a second way to what `lake` does.
BANNED = {"sparkContext", "rdd", "_jvm", "_jdf", "_jsc", "udf", "pandas_udf", "delta.tables"}
CLOCKS = {"now", "today", "utcnow", "curdate", "current_date", "current_timestamp", "localtimestamp"}
CLOCK_IN_SQL = re.compile(r"\b(?:now|today)\s*\(|\b(?:curdate|current_date|current_timestamp|localtimestamp)\b")


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def docstrings(tree: ast.Module) -> set[int]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, documented) and node.body]
    return {id(body[0].value) for body in bodies if isinstance(body[0], ast.Expr)}


def texts(path: Path) -> set[str]:
    tree = tree_of(path)
    skipped = docstrings(tree)
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in skipped)
    return {node.value.lower() for node in constants if isinstance(node.value, str)}


def names(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Import(names=imported):
                yield from (alias.name for alias in imported)
            case ast.ImportFrom(module=module, names=imported):
                yield from (module or "", *(alias.name for alias in imported))


def sources_named(path: Path) -> set[str]:
    said = " ".join([*texts(path), *names(path)]).lower()
    return {name for name in SOURCE_NAMES if name in said}


def banned_calls(path: Path) -> set[str]:
    return BANNED & set(names(path))


def clocks_asked(path: Path) -> set[str]:
    return (CLOCKS & set(names(path))) | {text for text in texts(path) if CLOCK_IN_SQL.search(text)}


def makes_session(path: Path) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr == "builder" for node in ast.walk(tree_of(path)))


def touches_tables(path: Path) -> bool:
    return "deltalake" in names(path) or "delta" in texts(path)


def test_every_folder_of_code_is_looked_at() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in CODE} == {"src", "jobs", "dags", "plugins"}
    assert {path.parent.name for path in TRANSFORMS} == {"fuse", "livelihood", "risk", "standardise", "privacy"}


@pytest.mark.parametrize(
    ("scan", "code"),
    [
        (sources_named, "if source == 'shenzhen': pass"),
        (sources_named, "def read_guiyang(): pass"),
        (sources_named, "TITLE = f'{n} 深圳地铁'"),
        (banned_calls, "spark.sparkContext.setLogLevel('WARN')"),
        (banned_calls, "frame.rdd.map(len)"),
        (banned_calls, "from pyspark.sql.functions import pandas_udf"),
        (banned_calls, "slow = F.udf(len)"),
        (banned_calls, "from delta.tables import DeltaTable"),
        (clocks_asked, "frame.withColumn('at', F.current_timestamp())"),
        (clocks_asked, "at = datetime.now(UTC)"),
        (clocks_asked, "F.expr('day < CURRENT_DATE')"),
        (makes_session, "SparkSession.builder.getOrCreate()"),
        (touches_tables, "from deltalake import write_deltalake"),
        (touches_tables, "frame.write.format('delta').save(path)"),
    ],
)
def test_scan_sees_what_it_is_there_for(scan: Callable[[Path], object], code: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(f'"""Example: shenzhen.swipe, now()."""\n{code}\n', "utf-8")
    assert scan(tmp_path / "wrong.py")
    (tmp_path / "right.py").write_text('"""Example: shenzhen.swipe, now()."""\n', "utf-8")
    assert not scan(tmp_path / "right.py")


def test_every_declared_source_is_one_the_code_may_not_name() -> None:
    declared = load_sources().values()
    assert {source.code for source in declared} <= SOURCE_NAMES
    assert {re.sub("市$|维吾尔自治区$", "", source.name_zh) for source in declared} <= SOURCE_NAMES


@each(NO_SIMULATION)
def test_code_names_no_source(path: Path) -> None:
    assert sources_named(path) == set()


@each(CODE)
def test_code_calls_nothing_that_is_banned(path: Path) -> None:
    assert banned_calls(path) == set()


@each(TRANSFORMS)
def test_transform_asks_no_clock(path: Path) -> None:
    assert clocks_asked(path) == set()


@each(MARKED)
def test_tests_have_the_mark_that_runs_them(path: Path) -> None:
    assigned = (node for node in tree_of(path).body if isinstance(node, ast.Assign))
    marks = "".join(ast.unparse(node) for node in assigned if ast.unparse(node.targets[0]) == "pytestmark")
    assert f"mark.{path.relative_to(ROOT / 'tests').parts[0]}" in marks


@each(CODE)
def test_one_module_makes_sessions(path: Path) -> None:
    assert makes_session(path) == (path == PACKAGE / "sessions.py")


@each(CODE)
def test_only_the_lake_touches_tables(path: Path) -> None:
    assert touches_tables(path) == (path in [PACKAGE / name for name in ("lake.py", "stores.py", "upkeep.py")])


@each(DAGS)
def test_dag_file_imports_no_engine(path: Path) -> None:
    imported = {name.split(".")[0] for name in names(path)}
    assert imported & {"pyspark", "pandas", "deltalake", "great_expectations", "presidio_anonymizer"} == set()


@pytest.mark.parametrize("module", ["ronghe.contracts", "ronghe.contracts.guard", "ronghe.contracts.expectations"])
def test_contracts_import_neither_spark_nor_airflow(module: str) -> None:
    code = f"import sys, {module}; print({{'pyspark', 'airflow', 'pandas', 'great_expectations'}} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_installed_spark_is_the_one_that_is_imported() -> None:
    assert version("pyspark") == pyspark.__version__


def test_locked_jars_are_of_the_delta_and_spark_that_are_installed() -> None:
    found = jars.locked()
    assert {(jar.group, jar.version) for jar in found} == {("io.delta", version("delta-spark"))}
    spark = ".".join(version("pyspark").split(".")[:2])
    assert {jar.artifact for jar in found} == {f"delta-spark_{spark}_2.13", "delta-storage"}


def test_locked_jars_of_the_store_are_of_the_hadoop_that_spark_brings() -> None:
    [brought] = (Path(pyspark.__file__).parent / "jars").glob("hadoop-client-api-*.jar")
    [hadoop] = [jar.version for jar in jars.locked("s3") if jar.artifact == "hadoop-aws"]
    assert brought.name == f"hadoop-client-api-{hadoop}.jar"


REFUSED = {
    "ethnicity": [
        "民族",
        "少数民族",
        "民 族",
        "种族",
        "ethnic",
        "ethnicGroup",
        "ETHNIC",
        "race_code",
        "ｅｔｈｎｉｃ",
        "minzu",
    ],
    "religion": ["宗教", "宗教信仰", "religion", "religiousBelief", "person_religion_code"],
    "origin": ["籍贯", "祖籍", "出生地", "origin", "origin_code", "place_of_origin", "nativePlace", "birthplace"],
    "political opinion": [
        "政治面貌",
        "（政治）面_貌",
        "是否党员",
        "political_status",
        "party",
        "party_name",
        "partyMember",
    ],
    "health": ["病史", "慢性病", "健康状况", "血型", "残疾类别", "health", "healthCode", "disease_name", "blood_type"],
}
LET_PASS = ["床位数", "病床数", "病毒名称", "卫生健康委员会", "民族自治地方", "性别", "住所", "行政区划代码"]
LET_PASS += ["trip_origin", "origin_station", "original_name", "third_party", "parties", "trace_id", "embraced"]
LET_PASS += ["health_centre_name", "health_insurance_scheme", "is_disabled", "place_name", "sex_code", "", "_", "1"]


@pytest.mark.parametrize(("attribute", "name"), [(what, name) for what, found in REFUSED.items() for name in found])
def test_guard_refuses_a_column_about(attribute: str, name: str) -> None:
    assert str(forbidden(name)).startswith(f"guard rail 5 keeps out the {attribute} of persons")


@pytest.mark.parametrize("name", LET_PASS)
def test_guard_lets_pass(name: str) -> None:
    assert forbidden(name) is None
