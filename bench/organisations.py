"""Registrations and permits of any size, as the standardised tables hold them, made by DuckDB."""

from bench.feeds import draw

# Signs of trade names; four of them tell some twelve million companies apart.
_SIGNS = "华信恒达远东盛源昌隆宏图鑫泰瑞丰金桥银海新锐博雅中天立业安康永利广通国兴民生顺德诚意福禄祥云龙腾虎跃"
_TRADES = ("科技", "贸易", "建筑工程", "餐饮管理", "物流", "信息技术", "物业服务", "农业发展")
_SURNAMES = "王李张刘陈杨赵黄周吴"
DELIVERY = "bench-organisations"
REGISTER, PERMIT = "std.organisation", "std.permit"
FEEDS = {REGISTER: "guiyang.enterprise", PERMIT: "chengdu.permit"}


def _of(values: tuple[str, ...] | str, name: str, number: str) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"[{listed}][1 + {draw(name, 0, len(values), number)}]"


def _brand(number: str) -> str:
    return (
        " || ".join(_of(_SIGNS, f"sign{place}", number) for place in range(4)) + f" || {_of(_TRADES, 'trade', number)}"
    )


def _trader(number: str) -> str:
    return f"{draw('trader', 0, 5, number)} = 0"


def _uscc(number: str) -> str:
    return f"CASE WHEN {_trader(number)} THEN '92' ELSE '91' END || printf('520102%010d', {number})"


def _name(number: str, spelling: str) -> str:
    """Return SQL for a name: `spelling` draws how region and legal form are written."""
    form = _of(("有限公司", "有限责任公司"), f"{spelling}form", number)
    brand = _brand(number)
    shop = f"{_of(_SIGNS, 'shop', number)} || {_of(_SURNAMES, 'owner', number)}"
    return f"""CASE WHEN {_trader(number)} THEN '贵阳市南明区' || {shop} || '记小吃店'
        WHEN {draw(spelling, 0, 3, number)} = 0 THEN '贵州' || {brand} || {form}
        WHEN {draw(spelling, 0, 3, number)} = 1 THEN '贵阳市' || {brand} || {form}
        ELSE {brand} || '（贵阳）' || {form} END"""


_PERSON = f"{_of(_SURNAMES, 'surname', 'n')} || {_of(_SIGNS, 'given', 'n')}"
_PHONE = f"printf('1%010d', {draw('phone', 3_000_000_000, 9_999_999_999, 'n')})"
_KIND = (
    f"CASE WHEN {_trader('n')} THEN 'sole_trader' WHEN {draw('kind', 0, 9, 'n')} = 0 THEN 'joint_stock_company' "
    "ELSE 'limited_company' END"
)
_DIVISIONS = ("520102", "520103", "520111", "520112", "520113", "520115", "520181", "520114")
_DIVISION = _of(_DIVISIONS, "division", "n")
_FOUNDED = f"(DATE '1995-01-01' + {draw('founded', 0, 10_000, 'n')}::INT)"
_CAPITAL = f"({draw('capital', 1, 5000, 'n')} * 10000)::DECIMAL(18, 2)"


def registrations(records: int) -> str:
    """Return a query for `std.organisation`: two states of each organisation."""
    known = max(1, records // 2)
    return f"""
        SELECT 'guiyang' AS source_code, {_uscc("n")} AS uscc,
               DATE '2026-01-01' + (i // {known} * 100 + {draw("approved", 0, 90)})::INT AS approved_date,
               {_name("n", "register")} AS organisation_name, {_KIND} AS organisation_kind_code,
               {_PERSON} AS legal_representative_name,
               CASE WHEN {draw("silent", 0, 4)} > 0 THEN {_PHONE} END AS contact_phone,
               {_FOUNDED} AS founded_date, {_CAPITAL} AS registered_capital_cny, {_DIVISION} AS division_code,
               CASE WHEN {draw("nowhere", 0, 4)} > 0 THEN '贵阳市中华路' || {draw("door", 1, 900)} || '号' END
                   AS address,
               'active' AS registration_status_code, '{DELIVERY}-r' AS delivery_id, i + 1 AS record_number
        FROM (SELECT i, i % {known} AS n FROM range({known * 2}) r(i))"""


def permits(records: int, known: int) -> str:
    """Return a query for `std.permit`: one in five has no code, and of those one in ten a name that nobody bears."""
    coded = f"{draw('coded', 0, 5)} > 0"
    stranger = f"CASE WHEN NOT {coded} AND {draw('stranger', 0, 10)} = 0 THEN n + 1000000000 ELSE n END"
    return f"""
        SELECT 'chengdu' AS source_code, printf('P%012d', i) AS permit_code,
               TIMESTAMPTZ '2026-02-01 00:00:00+00' + to_minutes({draw("issued", 0, 400_000)}) AS issued_at,
               'food_business' AS permit_kind_code, CASE WHEN {coded} THEN {_uscc("n")} END AS uscc,
               {_name("m", "permit")} AS organisation_name, {_PERSON} AS legal_representative_name,
               {_PHONE} AS contact_phone, '{DELIVERY}-p' AS delivery_id, i + 1 AS record_number
        FROM (SELECT *, {stranger} AS m FROM (SELECT i, {draw("who", 0, known)} AS n FROM range({records}) r(i)))"""


def fused(records: int, changed: str = "false") -> str:
    """Return a query for `fused.organisation`.

    Args:
        records: how many.
        changed: a condition on the number `n`; those rows have another address.
    """
    return f"""
        SELECT 'org_' || md5('organisation' || n) AS organisation_id, {_uscc("n")} AS uscc,
               {_name("n", "register")} AS organisation_name, {_KIND} AS organisation_kind_code,
               {_trader("n")} AS is_sole_trader, {_PERSON} AS legal_representative_name, {_PHONE} AS contact_phone,
               {_FOUNDED} AS founded_date, {_CAPITAL} AS registered_capital_cny, {_DIVISION} AS division_code,
               '南明区' AS division_name, {_DIVISION} AS current_division_code,
               CASE WHEN {changed} THEN '新址' ELSE '贵阳市中华路' END || {draw("door", 1, 900, "n")} || '号'
                   AS address,
               'active' AS registration_status_code,
               DATE '2026-03-01' + {draw("since", 0, 200, "n")}::INT AS updated_date,
               1::BIGINT AS source_count, 2::BIGINT AS record_count
        FROM range({records}) r(n)"""
