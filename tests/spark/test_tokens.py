"""Keyed tokens, against Python's own hmac; and where the key must not be seen."""

import base64
import contextlib
import hashlib
import hmac
import io
from datetime import date

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ronghe.privacy.keyed_hash import hmac_sha256, key_frame, key_pads
from ronghe.standardise.tokens import tokenise

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("compiled")]

KEYS = {
    "2018-09-01": b"first day's secret, 32 bytes lon",
    "2018-09-02": bytes(range(64)),
    "2018-09-03": b"longer than a block " * 5,
}
MESSAGES = ["684017436", "融合", "深圳通卡·١٢٣𠮷", "", " ", "x" * 1000]


def expected(key: bytes, message: str) -> str:
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()


def swipes(spark: SparkSession, rows: list[tuple[str | None, str | None, int]]) -> DataFrame:
    return spark.createDataFrame(rows, "card_id string, service_day string, n int")


def plans(frame: DataFrame) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        for mode in ("extended", "formatted", "codegen", "cost"):
            frame.explain(mode=mode)
    return text.getvalue().lower()


def written(secret: bytes) -> set[str]:
    """The ways a plan could write bytes, in lower case."""
    encoded = base64.b64encode(secret).decode()
    forms = {secret.hex(), secret.hex(" "), encoded, str(secret), secret.decode("latin-1")}
    return {form.lower() for form in forms | {str(list(secret))[1:-1]}}


def test_key_pads_make_the_hmac() -> None:
    for key in [*KEYS.values(), b"", b"k" * 65]:
        inner, outer = key_pads(key)
        assert (len(inner), len(outer)) == (64, 64)
        digest = hashlib.sha256(outer + hashlib.sha256(inner + b"message").digest()).hexdigest()
        assert digest == expected(key, "message")


def test_hmac_equals_python(spark: SparkSession) -> None:
    messages = spark.createDataFrame([(message,) for message in MESSAGES], "message string")
    rows = messages.crossJoin(key_frame(spark, KEYS)).select(
        "key_id",
        "message",
        hmac_sha256(F.col("message"), F.col("inner_pad"), F.col("outer_pad")).alias("mac"),
        hmac_sha256(F.encode("message", "utf-8"), F.col("inner_pad"), F.col("outer_pad")).alias("of_bytes"),
    )
    found = rows.collect()
    assert len(found) == len(MESSAGES) * len(KEYS)
    for row in found:
        assert row.mac == row.of_bytes == expected(KEYS[row.key_id], row.message)


def test_hmac_of_null_is_null(spark: SparkSession) -> None:
    mac = hmac_sha256(F.lit(None).cast("string"), F.col("inner_pad"), F.col("outer_pad"))
    assert key_frame(spark, KEYS).select(mac).distinct().collect() == [(None,)]


def test_tokenise_replaces_the_value_in_its_place(spark: SparkSession) -> None:
    frame = swipes(spark, [("684017436", "2018-09-01", 1), (None, "2018-09-01", 2)])
    result = tokenise(frame, "card_id", "service_day", key_frame(spark, KEYS), "card_token")
    assert result.columns == ["card_token", "service_day", "n"]
    token = expected(KEYS["2018-09-01"], "684017436")[:32]
    assert sorted(result.collect(), key=lambda row: row.n) == [
        (token, "2018-09-01", 1),
        (None, "2018-09-01", 2),
    ]


def test_tokenise_may_keep_the_name_and_take_a_date(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("a", date(2018, 9, 2))], "`card.id` string, day date")
    result = tokenise(frame, "card.id", "day", key_frame(spark, KEYS), "card.id")
    token = expected(KEYS["2018-09-02"], "a")[:32]
    assert result.collect() == [(token, date(2018, 9, 2))]


def test_one_card_has_one_token_a_day_and_another_on_the_next(spark: SparkSession) -> None:
    days = ["2018-09-01", "2018-09-01", "2018-09-02"]
    frame = swipes(spark, [("684017436", day, i) for i, day in enumerate(days)])
    result = tokenise(frame, "card_id", "service_day", key_frame(spark, KEYS), "card_token")
    first, again, next_day = (row.card_token for row in sorted(result.collect(), key=lambda r: r.n))
    assert first == again != next_day


@pytest.mark.parametrize("day", ["2018-09-09", None])
def test_a_missing_key_raises_and_tells_the_key_id_only(spark: SparkSession, day: str | None) -> None:
    frame = swipes(spark, [("684017436", "2018-09-01", 1), ("684017437", day, 2)])
    result = tokenise(frame, "card_id", "service_day", key_frame(spark, KEYS), "card_token")
    with pytest.raises(PySparkException) as failure:
        result.collect()
    assert f"no key for key id {day or 'NULL'}" in str(failure.value)
    assert "68401743" not in str(failure.value)


def test_a_missing_key_does_not_matter_to_a_null(spark: SparkSession) -> None:
    frame = swipes(spark, [(None, "2018-09-09", 1)])
    result = tokenise(frame, "card_id", "service_day", key_frame(spark, {}), "card_token")
    assert result.collect() == [(None, "2018-09-09", 1)]


def test_tokenise_overwrites_no_other_column(spark: SparkSession) -> None:
    frame = swipes(spark, [("a", "2018-09-01", 1)])
    with pytest.raises(ValueError, match="has a column n already"):
        tokenise(frame, "card_id", "service_day", key_frame(spark, KEYS), "n")


def test_tokenise_refuses_a_column_it_would_not_replace(spark: SparkSession) -> None:
    """Spark resolves names in any case; a value under the other spelling would stay in clear."""
    frame = swipes(spark, [("a", "2018-09-01", 1)])
    with pytest.raises(ValueError, match="no column Card_ID among card_id"):
        tokenise(frame, "Card_ID", "service_day", key_frame(spark, KEYS), "card_token")


def test_an_empty_key_is_refused(spark: SparkSession) -> None:
    with pytest.raises(ValueError, match="empty key for b"):
        key_frame(spark, {"a": b"x", "b": b""})


def test_no_plan_shows_a_key(spark: SparkSession) -> None:
    frame = swipes(spark, [("684017436", "2018-09-01", 1)])
    result = tokenise(frame, "card_id", "service_day", key_frame(spark, KEYS), "card_token")
    result.collect()
    plan = plans(result)
    assert "sha2" in plan
    assert "broadcast" in plan
    for key in KEYS.values():
        for secret in (key, *key_pads(key)):
            assert not [form for form in written(secret) if form in plan]


def test_a_literal_key_would_be_seen(spark: SparkSession) -> None:
    """The control of the test above."""
    secret = KEYS["2018-09-01"]
    plan = plans(spark.range(1).select(F.sha2(F.concat(F.lit(secret), F.col("id")), 256)))
    assert [form for form in written(secret) if form in plan]
