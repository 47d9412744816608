/* Between natives_time.c and natives_timepattern.c: times as text of a pattern.
**
**   %Y year, four digits    %m month 01-12     %d day 01-31      %e day, 1-31 without a zero
**   %H hour 00-23           %I hour 01-12      %p AM or PM       %M minute   %S second
**   %f microseconds, six digits                %L milliseconds, three digits
**   %j day of the year 001-366   %y year, two digits: 69-99 are 19xx, others 20xx
**   %a Mon  %A Monday  %b Jan  %B January      %u weekday 1-7
**   %z offset +0200, or with a colon, or Z     %s seconds since 1970
**   %F is %Y-%m-%d   %T is %H:%M:%S   %% is %
**
** Names are English. A text is read to its end; what a pattern does not say is
** 1970-01-01T00:00:00Z. */
#ifndef Z8_NATIVES_TIME_H
#define Z8_NATIVES_TIME_H
#include "vm/base/text.h"
#define ISO_PATTERN "%Y-%m-%dT%H:%M:%S%z"
/* False if the pattern is wrong. The parts are at the offset already. */
bool pattern_print(const TimeParts *p, int64_t offset_us, Str pattern, Buf *out);
bool pattern_parse(Str text, Str pattern, int64_t *us, bool *bad_pattern);
bool year_is_leap(int32_t year);
int32_t days_of_month(int32_t year, int32_t month);
#endif
