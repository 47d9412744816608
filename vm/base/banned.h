/* Forced into every file where replay must hold: the clock, chance and the
** environment reach those layers only as data. */
#ifndef Z8_BANNED_H
#define Z8_BANNED_H
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#pragma GCC poison time clock gettimeofday clock_gettime localtime gmtime strftime rand srand random getenv setlocale
#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets malloc calloc realloc free
#pragma GCC poison sin cos tan asin acos atan atan2 exp log log2 log10 pow cbrt hypot strtod atof
#endif
