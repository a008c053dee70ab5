"""The Gregorian calendar in UTC days since 1970-01-01, by arithmetic alone.

Law: the civil-from-days rule and its inverse (Hinnant, "chrono-compatible low-level date
algorithms", 2014). The library's own dates read clocks, which this package may not.
"""

from __future__ import annotations

__all__ = ["DAY_S", "LAST_DAY", "civil", "day_of", "days_in_month", "weekday"]

DAY_S = 86_400.0
LAST_DAY = 2_932_896
"""9999-12-31."""
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SHIFT, _ERA = 719_468, 146_097
_MARCH = 3
_THURSDAY = 3


def civil(day: int) -> tuple[int, int, int]:
    """Give year, month and day of the month.

    >>> civil(0)
    (1970, 1, 1)
    """
    era, day_of_era = divmod(day + _SHIFT, _ERA)
    shift = day_of_era // 1_460 - day_of_era // 36_524 + day_of_era // 146_096
    year = (day_of_era - shift) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    of_month = day_of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9  # noqa: PLR2004 - its year begins in March
    return year + era * 400 + (month < _MARCH), month, of_month


def day_of(year: int, month: int, of_month: int) -> int:
    """Give the day of a date.

    Raises:
        ValueError: There is no such date, or it lies beyond the years 1 to 9999.
    """
    if not 1 <= year <= 9_999 or not 1 <= of_month <= days_in_month(year, month):  # noqa: PLR2004
        raise ValueError((year, month, of_month))
    since = year - (month < _MARCH)
    era, year_of_era = divmod(since, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + of_month - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * _ERA + day_of_era - _SHIFT


def days_in_month(year: int, month: int) -> int:
    """Give the length of a month; 0 for one that is none."""
    if not 1 <= month <= len(_LENGTHS):
        return 0
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _LENGTHS[month - 1] + (leap and month == 2)  # noqa: PLR2004 - February


def weekday(day: int) -> int:
    """Give the day of the week, Monday 0."""
    return (day + _THURSDAY) % 7
