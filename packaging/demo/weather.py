"""Four years of Seattle's weather: cleaned, forecast, and reported. The functions of weather.toml's tasks.

Nothing but the standard library is needed. What the functions print is the log of their jobs.
"""

import math
import statistics
from datetime import date, timedelta

MEASURES = ("precipitation", "temp_max", "temp_min", "wind")
PLAUSIBLE = {"precipitation": (0, 500), "temp_max": (-40, 55), "temp_min": (-40, 45), "wind": (0, 60)}
YEAR_DAYS = 365.2425
HARMONICS = 2
INTERVAL_Z = 1.645  # 90 % of a normal distribution lies within
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


# -- clean ------------------------------------------------------------------------------------------------------------


def clean(measurements):
    """Checks each row; returns the good days in order, and what the months were like."""
    rows = measurements.to_dict("records") if hasattr(measurements, "to_dict") else measurements
    days, refused = {}, []
    for number, row in enumerate(rows, 1):
        day, reason = _checked(row)
        if reason is None and day["date"] in days:
            reason = "the day occurs twice"
        if reason is None:
            days[day["date"]] = day
        else:
            refused.append((number, reason))
    daily = [days[key] for key in sorted(days)]
    if not daily:
        raise ValueError("the measurements have no usable row")
    monthly = _months(daily)

    print(f"{len(rows)} rows read, {len(daily)} days kept, {len(refused)} refused")
    for number, reason in refused[:20]:
        print(f"  row {number}: {reason}")
    print(f"{daily[0]['date']} … {daily[-1]['date']}, {_missing_days(daily)} days missing in between")
    return daily, monthly


def _checked(row):
    """(day, None) or (None, why the row is of no use)"""
    try:
        day = {"date": date.fromisoformat(str(row["date"]).strip()[:10]).isoformat()}
        for name in MEASURES:
            day[name] = float(row[name])
            low, high = PLAUSIBLE[name]
            if not low <= day[name] <= high:
                return None, f"{name} of {day[name]} is not plausible"
    except (KeyError, TypeError, ValueError) as error:
        return None, f"{type(error).__name__}: {error}"
    if day["temp_min"] > day["temp_max"]:
        return None, "the minimum is above the maximum"
    day["weather"] = str(row.get("weather") or "unknown")
    return day, None


def _months(daily):
    groups = {}
    for day in daily:
        groups.setdefault(day["date"][:7], []).append(day)
    return [
        {
            "month": month,
            "days": len(days),
            "mean_temp_max": round(statistics.fmean(day["temp_max"] for day in days), 2),
            "mean_temp_min": round(statistics.fmean(day["temp_min"] for day in days), 2),
            "precipitation": round(sum(day["precipitation"] for day in days), 1),
            "wet_days": sum(day["precipitation"] >= 1.0 for day in days),
            "mean_wind": round(statistics.fmean(day["wind"] for day in days), 2),
        }
        for month, days in sorted(groups.items())
    ]


def _missing_days(daily):
    first, last = date.fromisoformat(daily[0]["date"]), date.fromisoformat(daily[-1]["date"])
    return (last - first).days + 1 - len(daily)


# -- forecast ---------------------------------------------------------------------------------------------------------


def forecast(daily, forecast_days):
    """The daily maximum temperature of the coming days, and how well the method did on a year that it had not seen.

    The model is a seasonal curve (a constant and two harmonics of the year) plus what remains of
    yesterday's deviation from it (an autoregression of order one).
    """
    if not 1 <= forecast_days <= 60:
        raise ValueError("forecast_days must be between 1 and 60")
    series = [(date.fromisoformat(day["date"]), day["temp_max"]) for day in daily]
    split = series[-1][0].replace(month=1, day=1)
    past = [point for point in series if point[0] < split]
    if len(past) < 2 * 365:
        raise ValueError("at least two years before the last one are needed")

    accuracy = _evaluate(past, series, split, forecast_days)
    model = _fit(series)
    last_day, last_value = series[-1]
    deviation = last_value - _season(model, last_day)
    days = []
    for ahead in range(1, forecast_days + 1):
        day = last_day + timedelta(days=ahead)
        expected = _season(model, day) + deviation * model["persistence"] ** ahead
        margin = INTERVAL_Z * _spread(model, ahead)
        days.append(
            {
                "date": day.isoformat(),
                "temp_max": round(expected, 1),
                "low": round(expected - margin, 1),
                "high": round(expected + margin, 1),
            }
        )

    print(f"seasonal curve through {len(series)} days, day-to-day persistence {model['persistence']:.2f}")
    print(f"tested on {accuracy['tested_days']} days of {split.year}, which the test's model had not seen:")
    print("  days ahead   model   as today   as a year ago   (mean absolute error, °C)")
    for line in accuracy["by_days_ahead"]:
        print("  {days_ahead:10d} {model:7.2f} {as_today:10.2f} {as_a_year_ago:15.2f}".format(**line))
    return {"model": _rounded(model), "accuracy": accuracy, "days": days}


def _fit(series):
    """Least squares for the season, then for the persistence of the deviations from it."""
    curve = _solve_least_squares([_terms(day) for day, _ in series], [value for _, value in series])
    model = {"curve": curve}
    deviations = {day: value - _season(model, day) for day, value in series}
    pairs = [
        (deviations[day - timedelta(days=1)], deviation)
        for day, deviation in deviations.items()
        if day - timedelta(days=1) in deviations
    ]
    persistence = sum(before * after for before, after in pairs) / sum(before * before for before, _ in pairs)
    model["persistence"] = min(max(persistence, 0.0), 0.99)
    model["noise"] = statistics.pstdev(after - model["persistence"] * before for before, after in pairs)
    return model


def _terms(day):
    angle = 2 * math.pi * day.toordinal() / YEAR_DAYS
    terms = [1.0]
    for harmonic in range(1, HARMONICS + 1):
        terms += [math.cos(harmonic * angle), math.sin(harmonic * angle)]
    return terms


def _season(model, day):
    return sum(weight * term for weight, term in zip(model["curve"], _terms(day)))


def _spread(model, ahead):
    """The standard deviation of a forecast so many days ahead: yesterday's noise fades, new noise adds up."""
    square = model["persistence"] ** 2
    return model["noise"] * math.sqrt(sum(square**step for step in range(ahead)))


def _solve_least_squares(rows, values):
    """The normal equations by Gaussian elimination; five unknowns need nothing cleverer."""
    size = len(rows[0])
    matrix = [
        [sum(row[i] * row[j] for row in rows) for j in range(size)]
        + [sum(row[i] * value for row, value in zip(rows, values))]
        for i in range(size)
    ]
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for row in range(size):
            if row != column:
                factor = matrix[row][column] / matrix[column][column]
                matrix[row] = [a - factor * b for a, b in zip(matrix[row], matrix[column])]
    return [matrix[i][size] / matrix[i][i] for i in range(size)]


def _evaluate(past, series, split, forecast_days):
    """From each day of the last year looks ahead with a model of the years before, beside two naive rules."""
    model = _fit(past)
    known = dict(series)
    lines, covered, tested = [], 0, 0
    for ahead in sorted({1, 2, 3, 7, forecast_days}):
        if ahead > forecast_days:
            continue
        errors = {"model": [], "as_today": [], "as_a_year_ago": []}
        margin = INTERVAL_Z * _spread(model, ahead)
        for day, value in series:
            today, year_ago = day - timedelta(days=ahead), day - timedelta(days=365)
            if day < split or today not in known or year_ago not in known:
                continue
            deviation = known[today] - _season(model, today)
            expected = _season(model, day) + deviation * model["persistence"] ** ahead
            errors["model"].append(abs(value - expected))
            errors["as_today"].append(abs(value - known[today]))
            errors["as_a_year_ago"].append(abs(value - known[year_ago]))
            covered += abs(value - expected) <= margin
            tested += 1
        lines.append({"days_ahead": ahead, **{name: round(statistics.fmean(found), 2) for name, found in errors.items()}})
    return {
        "tested_year": split.year,
        "tested_days": len(errors["model"]),
        "by_days_ahead": lines,
        "interval_percent": 90,
        "interval_held_percent": round(100 * covered / tested, 1),
    }


def _rounded(model):
    return {
        "curve": [round(weight, 4) for weight in model["curve"]],
        "persistence": round(model["persistence"], 4),
        "noise": round(model["noise"], 4),
    }


# -- report -----------------------------------------------------------------------------------------------------------


def report(daily, monthly, forecast):
    """What a person would want to know, as data and as a text."""
    whole = [month for month in monthly if month["days"] >= 28]
    months = {
        "warmest": max(whole, key=lambda month: month["mean_temp_max"]),
        "coldest": min(whole, key=lambda month: month["mean_temp_max"]),
        "wettest": max(whole, key=lambda month: month["precipitation"]),
        "driest": min(whole, key=lambda month: month["precipitation"]),
    }
    records = {
        "hottest": max(daily, key=lambda day: day["temp_max"]),
        "coldest": min(daily, key=lambda day: day["temp_min"]),
        "wettest": max(daily, key=lambda day: day["precipitation"]),
        "windiest": max(daily, key=lambda day: day["wind"]),
        "longest_dry_spell": _dry_spell(daily),
    }
    text = _summary(daily, months, records, forecast)
    print(text)
    print()
    print(_chart(monthly))
    return {
        "first_day": daily[0]["date"],
        "last_day": daily[-1]["date"],
        "months": months,
        "records": records,
        "forecast_accuracy": forecast["accuracy"],
        "forecast": forecast["days"],
        "summary": text,
    }


def _dry_spell(daily):
    """The longest run of days without measurable precipitation."""
    best, run, before = [], [], None
    for day in daily:
        this = date.fromisoformat(day["date"])
        if day["precipitation"] > 0:
            run = []
        else:
            run = run + [day["date"]] if run and before == this - timedelta(days=1) else [day["date"]]
            best = max(best, run, key=len)
        before = this
    return {"days": len(best), "from": best[0] if best else None, "to": best[-1] if best else None}


def _summary(daily, months, records, forecast):
    accuracy = forecast["accuracy"]
    first, last = accuracy["by_days_ahead"][0], accuracy["by_days_ahead"][-1]
    coming = forecast["days"]
    spell = records["longest_dry_spell"]
    return "\n".join(
        [
            f"Seattle, {daily[0]['date']} to {daily[-1]['date']} ({len(daily)} days)",
            f"Warmest month {months['warmest']['month']} (mean maximum {months['warmest']['mean_temp_max']:.1f} °C), "
            f"coldest {months['coldest']['month']} ({months['coldest']['mean_temp_max']:.1f} °C).",
            f"Wettest month {months['wettest']['month']} ({months['wettest']['precipitation']:.0f} mm), "
            f"driest {months['driest']['month']} ({months['driest']['precipitation']:.1f} mm).",
            f"Hottest day {records['hottest']['date']} ({records['hottest']['temp_max']} °C), "
            f"coldest night {records['coldest']['date']} ({records['coldest']['temp_min']} °C), "
            f"most rain {records['wettest']['date']} ({records['wettest']['precipitation']} mm).",
            f"Longest time without rain: {spell['days']} days, {spell['from']} to {spell['to']}.",
            f"Forecast for {coming[0]['date']}: {coming[0]['temp_max']} °C "
            f"({coming[0]['low']} to {coming[0]['high']}), for {coming[-1]['date']}: {coming[-1]['temp_max']} °C "
            f"({coming[-1]['low']} to {coming[-1]['high']}).",
            f"In {accuracy['tested_year']} the method was {first['model']:.2f} °C off one day ahead "
            f"(\"as today\": {first['as_today']:.2f}) and {last['model']:.2f} °C {last['days_ahead']} days ahead "
            f"({last['as_today']:.2f}); its {accuracy['interval_percent']} % intervals held "
            f"{accuracy['interval_held_percent']} % of the days.",
        ]
    )


def _chart(monthly):
    """Mean maximum temperature and precipitation of the calendar's months, over all years."""
    lines = ["       mean maximum, °C                    precipitation, mm a month"]
    groups = {}
    for month in monthly:
        groups.setdefault(int(month["month"][5:]), []).append(month)
    for number, found in sorted(groups.items()):
        warmth = statistics.fmean(month["mean_temp_max"] for month in found)
        rain = statistics.fmean(month["precipitation"] for month in found)
        bars = "▆" * max(0, round(warmth)), "▆" * round(rain / 6)
        lines.append(f"{MONTHS[number - 1]} {warmth:6.1f} {bars[0]:<30}{rain:6.0f} {bars[1]}")
    return "\n".join(lines)
