/* Images with a byte changed, over the run of an attempts_world. */
#ifndef Z8_DAMAGE_H
#define Z8_DAMAGE_H

#include "attempts_world.h"

#include "vm/base/hash.h"

/* An image nobody vouches for: every byte changed in turn under a right checksum. It is refused, or it is a run like
** any other, which can be written down, looked at, cancelled and stepped. */
static int damage_each(World *w) {
  Buf image = {0}, out = {0};
  Hash256 state;
  RunOutput asked = {0};
  int taken = 0;
  run_image(w->run, &image, &state);
  for (size_t i = 0; i + 32 < image.size; i++) {
    char was = image.at[i];
    image.at[i] = (char)(was ^ (1 << (i % 7)));
    Hash256 sum = sha256((Str){image.at, image.size - 32});
    memcpy(image.at + image.size - 32, &sum, 32);
    image.at[i] = was;
    Buf copy = {0};
    buf_str(&copy, buf_view(&image));
    copy.at[i] = (char)(was ^ (1 << (i % 7)));
    Journal *journal = journal_resume(tenant, 1000, state);
    Run *run;
    Err err = {0};
    Record cancel = {.kind = RECORD_CANCEL_ASKED, .CANCEL_ASKED = {.why = STR("x")}};
    if (run_restore(w->program, &w->host, journal, buf_view(&copy), &run, &err)) {
      taken++;
      run_waits(run, &out);
      run_open_requests(run, &asked);
      if (run_deliver(run, &cancel, &err)) (void)run_step(run, 100000, &asked);
      buf_clear(&out);
      run_image(run, &out, &sum);
      run_free(run);
    } else {
      journal_free(journal);
    }
    buf_clear(&out);
    buf_deinit(&copy);
  }
  run_output_deinit(&asked);
  buf_deinit(&out);
  buf_deinit(&image);
  return taken;
}
#endif
