"""SQL expressions in declarations, read without an engine: whether they are SQL, and of what they speak."""

from collections.abc import Collection

# Functions whose value is not that of their arguments: a day that is built again would be another.
_DRAWN = {"RAND", "RANDN", "RANDSTR", "UNIFORM", "UUID", "SHUFFLE", "MONOTONICALLY_INCREASING_ID"}
_ASKED = {"SPARK_PARTITION_ID", "INPUT_FILE_NAME", "CURRENT_USER", "SESSION_USER", "USER", "REFLECT", "JAVA_METHOD"}
_CLOCKS = {"NOW", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIMESTAMP"}


def expression_fault(text: str, columns: Collection[str]) -> str | None:
    """Return what is wrong with a Spark SQL expression over the columns of one record, or none.

    Functions are not looked up: only the engine knows them all.

    Args:
        text: the expression.
        columns: the columns it may speak of; their case does not count.
    """
    # Half a second that only processes pay which read such a declaration.
    from sqlglot import TokenType, exp, parse_one, tokenize
    from sqlglot.errors import SqlglotError

    try:
        signs = [token.token_type for token in tokenize(text, dialect="spark")]
        # A condition, for some names of columns begin a statement too.
        tree = parse_one(text, dialect="spark", into=exp.Condition)
    except (SqlglotError, ValueError):
        return "is no SQL expression"
    # What the parser forgives and the engine does not.
    closed = signs.count(TokenType.L_PAREN) == signs.count(TokenType.R_PAREN) and TokenType.SEMICOLON not in signs
    values = (exp.Condition, exp.AtTimeZone, exp.FromTimeZone)
    if not closed or not isinstance(tree, values) or isinstance(tree, exp.Query):
        return "is no SQL expression"
    if tree.find(exp.AggFunc, exp.Window, exp.Query, exp.Star):
        return "asks for more than one record"
    called = {node.name if isinstance(node, exp.Anonymous) else node.sql_name() for node in tree.find_all(exp.Func)}
    if changing := sorted({name.upper() for name in called} & (_DRAWN | _ASKED | _CLOCKS)):
        return f"gives another value each time it is worked out ({', '.join(changing)})"
    known = {name.lower() for name in columns}
    unknown = sorted({column.name for column in tree.find_all(exp.Column) if column.name.lower() not in known})
    return f"speaks of {', '.join(unknown)}, which is no column of it" if unknown else None
