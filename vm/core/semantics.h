/* What the answers of pure code depend on besides the bundle, in one word that
** every run's head carries. Change it when any of its parts changes meaning. */
#ifndef Z8_SEMANTICS_H
#define Z8_SEMANTICS_H
#define SEMANTICS_ID "z8/1 abi1 cost1 unicode15 mpfr float-shortest"
#define SEMANTICS_NUMBER 1
#endif
