"""The method sheet of an index, written from its declaration: `python -m ronghe.risk.sheet > docs/risk-index.md`."""

import sys

from ronghe.contracts import Catalogue, catalogue
from ronghe.contracts.index import Indicator, RiskIndex

_PREFACE = """\
<!-- Written by `python -m ronghe.risk.sheet` from schemas/indices/; change it there or in src/ronghe/risk/sheet.py. -->
# Risk indices

**A low score means that fewer threats were seen, not that defence is better.** A region with few sensors, few scanned
hosts and a survey it does not answer looks quiet. So pressure (exposure, vulnerability, threat, incidents) and the lack
of capacity (defence, governance) are shown as two scores beside the one they make together, and every cell says what it
was counted from.

Read a rank with its interval. Units whose intervals overlap are not in a known order; a list of ranks without them
claims what the data do not say.

## How a score comes about

1. **Count.** Each indicator is a numerator and a denominator over the rows of one week (Monday to Sunday, by business
   day), as the SQL in the declaration says. A city's rows count for the city and for its province.
2. **Correct for what is seen.** Events count per day a sensor told that it was alive. A unit whose sensors were alive
   on less than half of their days has no value (`coverage_share`).
3. **Small counts.** Rates of rare events are drawn towards the rate of the tier (empirical Bayes, gamma and Poisson;
   Marshall 1991), the more, the smaller the unit. Without this the smallest units swing between first and last.
4. **Impute.** A missing value becomes the median of its tier and is flagged (`is_imputed`). What nobody was measured by
   is left out. A unit with too few measured indicators has a score and no rank (`is_ranked`).
5. **Normalise** between two fixed goalposts to 1 (least risk) to 100. They do not move with the data, so a score
   changes only when its unit does. A value beyond a goalpost is set to it and flagged (`is_clamped`).
6. **Aggregate.** Weighted arithmetic means: of indicators in a family, of families in the index.
7. **Rank** in each tier, 1 is the highest risk, after rounding: scores that are shown as equal share a rank.
8. **Try the ranks.** The index is built again under weights drawn at random around the declared ones, and without each
   indicator in turn; `rank_low` and `rank_high` are the extremes.

Imputation, normalisation, aggregation and ranks equal those of COINr 1.1.14 on its ASEM example (51 units, 49
indicators); `tests/unit/test_risk_stages.py` holds them there.

## What to keep in mind

- Goalposts and weights are choices, not findings. Whoever runs the index on other data sets goalposts once, from a
  reference period, and raises the version; scores of different versions (`model_version`) do not compare.
- Arithmetic means let a strength make up for a weakness.
- The survey is what units say of themselves. A unit that reports its incidents well looks worse than one that does not.
- A vulnerability in a scan is inferred from a banner. The probability of exploitation takes a host's vulnerabilities
  as independent, which they are not.
- Indicators that measure nearly the same (alerts and attackers) count nearly twice.
- The simulated feeds show that the method finds what drives them; they say nothing about real regions.
"""


def method_sheet(found: Catalogue) -> str:
    """Return the method sheet of every declared index as Markdown."""
    return "\n".join([_PREFACE, *(_index(index, found) for index in found.indices.values())])


def _index(index: RiskIndex, found: Catalogue) -> str:
    trials = index.rank_interval
    units = len(found.codeset(index.units).codes)
    parts = [
        f"## {index.name_en} ({index.name_zh})\n",
        f"`{index.id}`, version {index.version}: {len(index.indicators)} indicators in {len(index.families)} families, "
        f"{units} units (`schemas/codesets/{index.units}.yaml`). Ranked from {index.minimum_availability:.0%} of the "
        f"indicators on, after rounding to {index.decimals} decimal. Ranks are tried under {trials.draws:,} sets of "
        f"weights within {trials.weight_change:.0%} and without each indicator.\n",
    ]
    for family in index.families:
        own = [indicator for indicator in index.indicators if indicator.family == family.code]
        parts += [
            f"### {family.name_en} ({family.name_zh}): {family.side}, weight {family.weight:g}\n",
            "| indicator | weight | risk | unit | goalposts | read from | after |",
            "|---|---|---|---|---|---|---|",
            *(_line(indicator, index) for indicator in own),
            "",
        ]
    return "\n".join(parts)


def _line(indicator: Indicator, index: RiskIndex) -> str:
    source = next(source for source in index.sources if source.name == indicator.source)
    posts = indicator.goalposts
    cells = (
        f"{indicator.name_en} ({indicator.name_zh}), `{indicator.code}`",
        f"{indicator.weight:g}",
        "raises" if indicator.direction > 0 else "lowers",
        indicator.unit,
        f"{posts.minimum:g} to {posts.maximum:g}",
        ", ".join(f"`{table}`" for table in source.tables),
        indicator.reference,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(method_sheet(catalogue()))
