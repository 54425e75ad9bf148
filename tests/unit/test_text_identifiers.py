"""Identifiers in free text: found in every spelling, and numbers that identify nobody stay."""

from collections import Counter

import pytest
from presidio_analyzer import RecognizerResult

from ronghe.contracts import catalogue
from ronghe.privacy.text.checksums import even_groups, hong_kong_id, organisation_code, vin
from ronghe.privacy.text.desensitiser import TextDesensitiser, desensitiser
from ronghe.privacy.text.folding import fold
from tests.service_requests import KINDS, LOOK_ALIKES, Planted, look_alikes, planted

COUNT = 1200


@pytest.fixture(scope="module")
def treater() -> TextDesensitiser:
    return desensitiser(catalogue().policy("text").model_dump_json())


def covered(found: list[RecognizerResult], start: int, end: int) -> bool:
    return all(any(r.start <= at < r.end for r in found) for at in range(start, end))


@pytest.mark.parametrize("kind", KINDS)
def test_an_identifier_is_found_in_every_spelling(treater: TextDesensitiser, kind: str) -> None:
    requests = planted(kind, COUNT, seed=1)
    found = treater.findings([request.text for request in requests])
    missed: Counter[str] = Counter()
    for request, results in zip(requests, found, strict=True):
        start = request.text.index(request.value)
        if not covered(results, start, start + len(request.value)):
            missed[request.spelling] += 1
    assert missed.total() <= COUNT * 0.001, missed


@pytest.mark.parametrize("kind", KINDS)
def test_an_identifier_is_called_what_it_is(treater: TextDesensitiser, kind: str) -> None:
    requests = planted(kind, COUNT, seed=2)
    treated = treater.treat([request.text for request in requests])
    wrong = [r.spelling for r, t in zip(requests, treated, strict=True) if t.counts.get(str(r.entity)) != 1]
    assert len(wrong) <= COUNT * 0.01, Counter(wrong)


def test_numbers_that_identify_nobody_stay(treater: TextDesensitiser) -> None:
    requests = look_alikes(COUNT, seed=1)
    treated = treater.treat([request.text for request in requests])
    changed = Counter(r.spelling for r, t in zip(requests, treated, strict=True) if r.value not in t.text)
    assert changed.total() <= COUNT * 0.02, changed


def test_look_alikes_are_of_every_kind() -> None:
    assert {request.spelling for request in look_alikes(COUNT, seed=1)} == set(LOOK_ALIKES)


def treated(treater: TextDesensitiser, text: str) -> str:
    (result,) = treater.treat([text])
    return str(result.text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("微信号abc_12345", "微信号<网络账号>", id="wechat"),
        pytest.param("QQ：123456789", "QQ：<网络账号>", id="qq"),
        pytest.param("住院号A0012345", "住院号<号码>", id="inpatient number"),
        pytest.param("护照E12345678", "护照<证件号>", id="passport"),
        pytest.param("港澳通行证C12345678", "港澳通行证<证件号>", id="permit"),
        pytest.param("香港身份证A123456(3)", "香港身份证<证件号>", id="hong kong id"),
        pytest.param("登录ip192.168.1.1失败", "登录ip<网络地址>失败", id="ip glued to its cue"),
        pytest.param("网卡00:1A:2b:3c:4D:5e", "网卡<网络地址>", id="mac"),
        pytest.param("车架号LSGJA52U9AS123456", "车架号<车架号>", id="vin"),
        pytest.param("座机26534123", "座机<固定电话>", id="landline without area"),
        pytest.param("共26534123件", "共26534123件", id="eight digits"),
        pytest.param("13812345678wx同号", "<手机号>wx同号", id="mobile with letters behind"),
        pytest.param("138 1234 5678 139 1234 5678", "<手机号> <手机号>", id="two mobiles"),
        pytest.param("15-3-201 15-3-202", "15-3-201 15-3-202", id="two flats"),
        pytest.param("学号G440305199001011233", "学号<身份证号>", id="student number that embeds an id"),
        pytest.param("身份证44030519900101123", "身份证<身份证号>", id="a digit short"),
        pytest.param("一三八零零零零一二三四", "<手机号>", id="in Chinese numerals"),
        pytest.param("", "", id="nothing"),
        pytest.param("路灯坏了", "路灯坏了", id="nothing to hide"),
    ],
)
def test_text_is_treated(treater: TextDesensitiser, text: str, expected: str) -> None:
    assert treated(treater, text) == expected


def test_missing_texts_stay_missing_and_counts_say_what_was_taken(treater: TextDesensitiser) -> None:
    first, second = treater.treat([None, "电话13812345678，备用13912345678，邮箱a@163.com"])
    assert (first.text, first.counts) == (None, {})
    assert second.counts == {"CN_MOBILE": 2, "EMAIL": 1}


def test_a_policy_decides_what_takes_the_place_of_a_value() -> None:
    policy = catalogue().policy("text")
    masked = {"operator": "mask", "params": {"masking_char": "*", "chars_to_mask": 8, "from_end": True}}
    changed = policy.model_dump()
    for entity in changed["entities"]:
        if entity["entity"] == "CN_MOBILE":
            entity["treatment"] = masked
    other = type(policy).model_validate(changed)
    assert treated(desensitiser(other.model_dump_json()), "电话13812345678") == "电话138********"


def test_presidios_decision_log_names_pattern_and_reason(treater: TextDesensitiser) -> None:
    (result,) = treater.analyzer.analyze("身份证440305199001011230", "zh", return_decision_process=True)
    explanation = result.analysis_explanation
    assert explanation.pattern_name == "resident_id"
    assert "fails resident_id" in explanation.textual_explanation


def test_folding_keeps_every_place() -> None:
    text = "１３８－１２３４　①٣㈠ﬁ½𝟗·•．"
    assert len(fold(text)) == len(text)
    assert fold(text).startswith("138-1234 ")


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (vin, "LSGJA52U2AS123456", None),
        (hong_kong_id, "A123456(3)", "A123456(4)"),
        (organisation_code, "D2143569-X", "D2143569-1"),
        (even_groups, "138 1234 5678", "15-3-201 15-3-202"),
    ],
)
def test_check_digits(check: object, right: str, wrong: str | None) -> None:
    assert callable(check)
    if check is vin:
        rights = [f"{right[:8]}{sign}{right[9:]}" for sign in "0123456789X"]
        assert sum(vin(value) for value in rights) == 1
        return
    assert check(right)
    assert not check(wrong)


def test_planting_covers_every_spelling() -> None:
    requests: list[Planted] = [request for kind in KINDS for request in planted(kind, 26, seed=3)]
    assert {r.entity for r in requests} == {entity for entity, *_ in KINDS.values()}
    assert all(r.value in r.text for r in requests)
