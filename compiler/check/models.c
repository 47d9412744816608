/* Models and their agents, before and after names are declared: what their declarations become, and the schemas that
** need every type. */
#include "compiler/check/made.h"
#include "vm/base/table.h"

static Str pointer_key(Name *const *name) { return (Str){(const char *)name, sizeof *name}; }

/* The program's own declaration of that name, before names are declared. */
Decl *declared_decl(Checker *c, Name *name) {
  return c->declared ? table_get(c->declared, pointer_key(&name)) : NULL;
}

static void declared_note(Checker *c, Decl *decl) {
  if (decl->name && !table_get(c->declared, pointer_key(&decl->name)))
    table_set(c->declared, pointer_key(&decl->name), decl);
}

static bool any_models(const Unit *units) {
  for (const Unit *u = units; u; u = u->next) {
    if (u->models && !u->standard) return true;
  }
  return false;
}

typedef void EachDecl(Checker *c, Decl *decl);
static void each_decl(Checker *c, Unit *units, EachDecl *see) {
  for (Unit *u = units; u; u = u->next) {
    c->unit = u;
    for (Decl *d = u->standard ? NULL : u->decls; d; d = d->next) see(c, d);
  }
}

static void begin_one(Checker *c, Decl *decl) {
  if (decl->kind == DECL_AI_AGENT && decl->name) ai_agent_begin(c, decl);
}

static void become_one(Checker *c, Decl *decl) {
  if (decl->made || !decl->name) return;
  if (decl->kind == DECL_MODEL) model_become(c, decl);
  else if (decl->kind == DECL_TOOL) companions_make(c, decl);
  else if (decl->ai) ai_agent_become(c, decl);
}

void models_declare(Checker *c, Unit *units) {
  if (!any_models(units)) return;
  c->declared = table_new();
  each_decl(c, units, declared_note);
  each_decl(c, units, begin_one);
  each_decl(c, units, become_one);
}

/* ---- once all types are known ---- */

static void schemas_make(Checker *c, Decl *decl) {
  AiAgent *ai = decl->ai;
  if (!ai) return;
  for (AiTool *tool = ai->tools; tool; tool = tool->next)
    tool->schema->text = schema_of(c, tool->arguments);
  if (ai->answer_record) ai->answer_schema->text = schema_of(c, ai->answer_record);
  if (ai->answer) ai->answer_type = type_resolve(c, ai->answer);
}

void models_resolve(Checker *c, Unit *units) {
  if (c->declared) each_decl(c, units, schemas_make);
}

static void warn_one(Checker *c, Decl *decl) {
  if (decl->model && !decl->made) model_dollars_warn(c, decl);
}

void models_warn(Checker *c, Unit *units) {
  if (c->declared) each_decl(c, units, warn_one);
}

void models_end(Checker *c) {
  if (c->declared) table_free(c->declared);
  c->declared = NULL;
}
