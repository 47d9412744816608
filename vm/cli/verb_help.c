/* z8 explain, version, help, completion: the verbs that only say something. */
#include "compiler/diag.h"
#include "vm/bundle/bundle.h"
#include "vm/cli/cli.h"
#include "vm/core/semantics.h"

#define Z8_VERSION "0.2.0"

/* ---- explain ----------------------------------------------------------------------- */

/* A fault's message with … where it names what it is about. */
static void fault_message(const char *message, Buf *out) {
  const char *hole = strstr(message, "%s");
  if (strcmp(message, "%s") == 0) {
    buf_text(out, "(its message says what it is about)");
  } else if (hole == NULL) {
    buf_text(out, message);
  } else {
    buf_put(out, message, (size_t)(hole - message));
    buf_text(out, "…");
    buf_text(out, hole + 2);
  }
}

static bool fault_explain(const char *code, Buf *out) {
  for (uint32_t i = 0; i < FAULT_COUNT; i++) {
    if (strcmp(fault_info[i].code, code) != 0) continue;
    buf_format(out, "%s: a fault at run time.\n\n  ", code);
    fault_message(fault_info[i].message, out);
    buf_format(out, "\n\n%s\n",
               fault_info[i].catchable
                   ? "`catch e when e.code is \"...\"` sees it."
                   : "It is not caught by `catch`; `finally` blocks run on cancellation only.");
    return true;
  }
  return false;
}

int verb_explain(Cli *cli) {
  const char *code = cli->args.words[0];
  if (diag_explain(str_of(code), &cli->out) || fault_explain(code, &cli->out)) return EXIT_DONE;
  return output_error(
      cli, EXIT_FAILED,
      "no diagnostic or fault has the code %.60s; they look like Z8-E0205, W0801 or key_missing",
      code);
}

/* ---- version and help ---------------------------------------------------------------- */

int verb_version(Cli *cli) {
  if (!cli->json) {
    buf_format(&cli->out, "z8 %s (bundle format %d, semantics %s)\n", Z8_VERSION, BUNDLE_FORMAT,
               SEMANTICS_ID);
    return EXIT_DONE;
  }
  buf_byte(&cli->out, '{');
  json_text(&cli->out, "version", STR(Z8_VERSION));
  json_number(&cli->out, "bundle_format", BUNDLE_FORMAT);
  json_text(&cli->out, "semantics", STR(SEMANTICS_ID));
  buf_text(&cli->out, "}\n");
  return EXIT_DONE;
}

int verb_help(Cli *cli) {
  VerbId verb;
  if (cli->args.word_count == 0) {
    args_help(&cli->out);
    return EXIT_DONE;
  }
  const char *name = cli->args.words[0], *near = args_nearest_verb(name);
  if (args_verb_by_name(name, &verb)) {
    args_help_verb(verb, &cli->out);
    return EXIT_DONE;
  }
  if (near != NULL)
    return output_error(cli, EXIT_USAGE, "z8 has no verb `%.60s`; did you mean `%s`?", name, near);
  return output_error(cli, EXIT_USAGE, "z8 has no verb `%.60s`; `z8 help` lists them", name);
}

/* ---- completion ------------------------------------------------------------------------ */

static bool option_shown(uint32_t verb, uint32_t option) {
  return (verb_info[verb].options >> option & 1) != 0 && option_info[option].meaning[0] != 0;
}

static void verbs_put(Buf *out) {
  for (uint32_t i = 0; i < VERB_COUNT; i++)
    buf_format(out, "%s%s", i > 0 ? " " : "", verb_info[i].name);
}

static void options_put(Buf *out, uint32_t verb) {
  for (uint32_t i = 0; i < OPTION_COUNT; i++)
    if (option_shown(verb, i)) buf_format(out, " --%s", option_info[i].name);
}

static void bash_put(Buf *out) {
  buf_text(out,
           "_z8() {\n  local word=\"${COMP_WORDS[COMP_CWORD]}\" options=\"\"\n"
           "  if [ \"$COMP_CWORD\" = 1 ]; then COMPREPLY=($(compgen -W \"");
  verbs_put(out);
  buf_text(out, "\" -- \"$word\")); return; fi\n  case \"${COMP_WORDS[1]}\" in\n");
  for (uint32_t i = 0; i < VERB_COUNT; i++) {
    buf_format(out, "    %s) options=\"", verb_info[i].name);
    options_put(out, i);
    buf_text(out, "\" ;;\n");
  }
  buf_text(out,
           "  esac\n  case \"$word\" in\n    -*) COMPREPLY=($(compgen -W \"$options\" -- "
           "\"$word\")) ;;\n"
           "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n  esac\n}\ncomplete -o filenames -F "
           "_z8 z8\n");
}

/* Within single quotes of zsh and fish. */
static void quoted_put(Buf *out, const char *text) {
  for (; *text != 0; text++) {
    if (*text == '\'') buf_text(out, "'\\''");
    else if (*text == ':' || *text == '[' || *text == ']') buf_format(out, "\\%c", *text);
    else buf_byte(out, (uint8_t)*text);
  }
}

static void zsh_put(Buf *out) {
  buf_text(out, "#compdef z8\n_z8() {\n  local -a verbs\n  verbs=(\n");
  for (uint32_t i = 0; i < VERB_COUNT; i++) {
    buf_format(out, "    '%s:", verb_info[i].name);
    quoted_put(out, verb_info[i].summary);
    buf_text(out, "'\n");
  }
  buf_text(
      out,
      "  )\n  if (( CURRENT == 2 )); then _describe verb verbs; return; fi\n  case $words[2] in\n");
  for (uint32_t i = 0; i < VERB_COUNT; i++) {
    buf_format(out, "    %s) _arguments", verb_info[i].name);
    for (uint32_t k = 0; k < OPTION_COUNT; k++) {
      if (!option_shown(i, k)) continue;
      buf_format(out, " '--%s%s[", option_info[k].name, option_info[k].argument ? "=" : "");
      quoted_put(out, option_info[k].meaning);
      buf_text(out, "]'");
    }
    buf_text(out, " '*:file:_files' ;;\n");
  }
  buf_text(out, "  esac\n}\n_z8 \"$@\"\n");
}

static void fish_put(Buf *out) {
  for (uint32_t i = 0; i < VERB_COUNT; i++) {
    buf_format(out, "complete -c z8 -n __fish_use_subcommand -a %s -d '%s'\n", verb_info[i].name,
               "");
    out->size -= 2;
    for (const char *c = verb_info[i].summary; *c != 0; c++) {
      if (*c == '\'') buf_byte(out, '\\');
      buf_byte(out, (uint8_t)*c);
    }
    buf_text(out, "'\n");
    for (uint32_t k = 0; k < OPTION_COUNT; k++)
      if (option_shown(i, k))
        buf_format(out, "complete -c z8 -n '__fish_seen_subcommand_from %s' -l %s%s\n",
                   verb_info[i].name, option_info[k].name, option_info[k].argument ? " -r" : "");
  }
}

int verb_completion(Cli *cli) {
  const char *shell = cli->args.words[0];
  if (strcmp(shell, "bash") == 0) bash_put(&cli->out);
  else if (strcmp(shell, "zsh") == 0) zsh_put(&cli->out);
  else if (strcmp(shell, "fish") == 0) fish_put(&cli->out);
  else return output_error(cli, EXIT_USAGE, "completion is written for bash, zsh and fish");
  return EXIT_DONE;
}
