/* Clocks and RFC 3339. */
#include <stdio.h>
#include <time.h>

#include "bailiff/clock.h"

static int64_t now_us(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    return now_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_ms(void)
{
    return now_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
    return now_us(CLOCK_MONOTONIC);
}

/* Days since 1970-01-01 of a civil date and back (proleptic Gregorian, March-based years). */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + (int64_t)day_of_era - 719468;
}

static void civil_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned day_of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = (int64_t)year_of_era + era * 400 + (*month <= 2);
}

static char *put_digits(char *p, uint64_t n, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        p[i] = (char)('0' + n % 10);
        n /= 10;
    }
    return p + width;
}

void time_format(int64_t wall_ms, char out[static TIME_TEXT_SIZE])
{
    const int64_t last = 253402300799999; /* 9999-12-31T23:59:59.999Z */
    if (wall_ms < 0)
        wall_ms = 0;
    if (wall_ms > last)
        wall_ms = last;
    int64_t year, days = wall_ms / 86400000, rest = wall_ms % 86400000;
    unsigned month, day;

    civil_from_days(days, &year, &month, &day);
    char *p = put_digits(out, (uint64_t)year, 4);
    *p++ = '-';
    p = put_digits(p, month, 2);
    *p++ = '-';
    p = put_digits(p, day, 2);
    *p++ = 'T';
    p = put_digits(p, (uint64_t)rest / 3600000, 2);
    *p++ = ':';
    p = put_digits(p, (uint64_t)rest / 60000 % 60, 2);
    *p++ = ':';
    p = put_digits(p, (uint64_t)rest / 1000 % 60, 2);
    *p++ = '.';
    p = put_digits(p, (uint64_t)rest % 1000, 3);
    *p++ = 'Z';
    *p = '\0';
}

static bool read_digits(const char **p, const char *end, int width, unsigned *ret)
{
    unsigned n = 0;

    if (end - *p < width)
        return false;
    for (int i = 0; i < width; i++) {
        char c = *(*p)++;
        if (c < '0' || c > '9')
            return false;
        n = n * 10 + (unsigned)(c - '0');
    }
    *ret = n;
    return true;
}

static bool read_char(const char **p, const char *end, const char *allowed)
{
    return *p < end && **p && strchr(allowed, *(*p)++) != NULL;
}

static bool read_offset(const char **p, const char *end, int *ret_minutes)
{
    unsigned hours, minutes;

    if (*p == end)
        return false;
    char sign = *(*p)++;
    if (sign == 'Z' || sign == 'z') {
        *ret_minutes = 0;
        return true;
    }
    if ((sign != '+' && sign != '-') || !read_digits(p, end, 2, &hours) || !read_char(p, end, ":") ||
        !read_digits(p, end, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_minutes = (int)(hours * 60 + minutes) * (sign == '-' ? -1 : 1);
    return true;
}

bool time_parse(const char *s, size_t len, int64_t *ret_wall_ms)
{
    const char *p = s, *end = s + len;
    unsigned year, month, day, hour, minute, second, ms = 0;
    int offset;

    if (!read_digits(&p, end, 4, &year) || !read_char(&p, end, "-") || !read_digits(&p, end, 2, &month) ||
        !read_char(&p, end, "-") || !read_digits(&p, end, 2, &day) || !read_char(&p, end, "Tt ") ||
        !read_digits(&p, end, 2, &hour) || !read_char(&p, end, ":") || !read_digits(&p, end, 2, &minute) ||
        !read_char(&p, end, ":") || !read_digits(&p, end, 2, &second))
        return false;
    if (p < end && *p == '.') {
        unsigned scale = 100;
        const char *first = ++p;
        for (; p < end && *p >= '0' && *p <= '9'; p++, scale /= 10)
            ms += (unsigned)(*p - '0') * scale;
        if (p == first || p - first > 9)
            return false;
    }
    if (!read_offset(&p, end, &offset) || p != end)
        return false;
    static const unsigned char month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60 ||
        day > month_days[month - 1] + (unsigned)(month == 2 && leap))
        return false;
    int64_t seconds =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + (second < 60 ? second : 59);
    *ret_wall_ms = (seconds - offset * 60) * 1000 + ms;
    return true;
}
