// What model_server.mjs knows of the providers: each takes a request apart (and finds fault with it), and puts an
// answer together, whole and as a stream. An answer is in normal form: see model_server.mjs.

const isObject = (v) => v !== null && typeof v === "object" && !Array.isArray(v);
const word = /^[A-Za-z0-9_-]{1,64}$/;
const pieces = (text) => text.match(/[^]{1,8}/gu) ?? [];
const sse = (data, event) =>
  `${event ? `event: ${event}\n` : ""}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;
const argumentsText = (call) =>
  typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments ?? {});

// ---- faults common to several ----

function tool(fault, name, schema, what) {
  if (typeof name !== "string" || !word.test(name)) fault(`${what}: "${name}" is no name for a tool`);
  if (!isObject(schema) || schema.type !== "object") fault(`${what}: the schema of ${name} is not of type "object"`);
}

// What providers that generate by a schema refuse; `bounds`: Anthropic takes no bounds either.
function strictSchema(fault, schema, at, bounds) {
  if (Array.isArray(schema)) return schema.forEach((s, i) => strictSchema(fault, s, `${at}[${i}]`, bounds));
  if (!isObject(schema)) return;
  if (schema.type === "object" || schema.properties) {
    if (schema.additionalProperties !== false) fault(`schema ${at}: additionalProperties is not false`);
    const missing = Object.keys(schema.properties ?? {}).filter((k) => !(schema.required ?? []).includes(k));
    if (!bounds && missing.length)
      fault(`schema ${at}: under strict all properties are required, and ${missing} is not`);
  }
  const refused = ["minimum", "maximum", "minLength", "maxLength", "multipleOf", "oneOf", "exclusiveMinimum"];
  if (bounds) for (const k of refused) if (k in schema) fault(`schema ${at}: Anthropic refuses ${k}`);
  for (const k of ["anyOf", "allOf", "oneOf", "items", "prefixItems"])
    if (k in schema) strictSchema(fault, schema[k], `${at}.${k}`, bounds);
  for (const k of ["properties", "$defs"])
    for (const [name, s] of Object.entries(schema[k] ?? {})) strictSchema(fault, s, `${at}.${k}.${name}`, bounds);
}

function parsedArguments(fault, text, what) {
  try {
    if (typeof text === "string" && isObject(JSON.parse(text))) return JSON.parse(text);
  } catch {}
  fault(`${what}: the arguments are not the text of a JSON object: ${JSON.stringify(text)}`);
  return null;
}

// Calls are answered exactly once, before anything else is said.
class OpenCalls {
  constructor(fault) {
    Object.assign(this, { fault, open: new Map(), seen: new Set() });
  }
  call(id, name) {
    if (typeof id !== "string" || !id) this.fault(`a call of ${name} has no id`);
    if (this.seen.has(id)) this.fault(`the call id ${id} is there twice`);
    this.seen.add(id);
    this.open.set(id, name);
  }
  answer(id) {
    if (!this.open.delete(id)) this.fault(`an answer to ${id}, which is not an open call`);
  }
  rest(what) {
    for (const id of this.open.keys()) this.fault(`${what} comes before call ${id} is answered`);
    this.open.clear();
  }
}

// ---- OpenAI, chat completions ----

const openai = {
  read(body, fault) {
    const calls = new OpenCalls(fault);
    const system = [],
      messages = [];
    (body.messages ?? []).forEach((m, i) => {
      if (m.role === "tool") {
        calls.answer(m.tool_call_id);
        if (typeof m.content !== "string") fault(`message ${i}: a tool's content is not a string`);
        messages.push({ role: "tool", id: m.tool_call_id, content: m.content });
        return;
      }
      calls.rest(`message ${i}`);
      if (m.role === "system" || m.role === "developer") {
        if (messages.length) fault(`message ${i}: a system message within the conversation`);
        system.push(m.content);
      } else if (m.role === "user") {
        if (typeof m.content !== "string") fault(`message ${i}: the user's content is not a string`);
        messages.push({ role: "user", content: m.content });
      } else if (m.role === "assistant") {
        if (m.content == null && !m.tool_calls?.length) fault(`message ${i}: an assistant message that says nothing`);
        if (m.tool_calls && !m.tool_calls.length) fault(`message ${i}: tool_calls is empty`);
        const made = (m.tool_calls ?? []).map((c) => {
          if (c.type !== "function") fault(`message ${i}: a call's type is ${c.type}`);
          calls.call(c.id, c.function?.name);
          return {
            id: c.id,
            name: c.function?.name,
            arguments: parsedArguments(fault, c.function?.arguments, `message ${i}`),
          };
        });
        messages.push({ role: "assistant", content: m.content ?? "", calls: made });
      } else fault(`message ${i}: there is no role ${m.role}`);
    });
    calls.rest("the end");
    for (const t of body.tools ?? []) {
      if (t.type !== "function") fault(`a tool's type is ${t.type}`);
      tool(fault, t.function?.name, t.function?.parameters, "tools");
    }
    const format = body.response_format;
    if (format) {
      const s = format.json_schema;
      if (format.type !== "json_schema" || !word.test(s?.name ?? "") || !isObject(s?.schema))
        fault("response_format is no json_schema");
      else if (s.strict) strictSchema(fault, s.schema, "$");
    }
    if (body.stream && body.stream_options?.include_usage !== true)
      fault("a stream without stream_options.include_usage");
    if ("temperature" in body && !(body.temperature >= 0 && body.temperature <= 2))
      fault("temperature is not within 0 to 2");
    return {
      system: system.join("\n") || null,
      messages,
      tools: (body.tools ?? []).map((t) => ({
        name: t.function.name,
        description: t.function.description,
        schema: t.function.parameters,
      })),
      choice: body.tool_choice ?? null,
      answer: format?.json_schema?.schema ?? null,
      max_tokens: body.max_completion_tokens ?? body.max_tokens ?? null,
      seed: body.seed ?? null,
      stops: body.stop ?? null,
      effort: body.reasoning_effort ?? null,
    };
  },
  usage: (u) => ({
    prompt_tokens: u.input,
    completion_tokens: u.output,
    total_tokens: u.input + u.output,
    prompt_tokens_details: { cached_tokens: u.cached ?? 0 },
    completion_tokens_details: { reasoning_tokens: u.reasoning ?? 0 },
  }),
  stop: (a) =>
    ({ end: "stop", calls: "tool_calls", length: "length", filter: "content_filter", refusal: "stop" })[a.stop] ??
    a.stop,
  calls: (a) =>
    a.calls.map((c) => ({ id: c.id, type: "function", function: { name: c.name, arguments: argumentsText(c) } })),
  whole(a, r) {
    const message = { role: "assistant", content: a.text || null, refusal: a.refusal ?? null };
    if (a.reasoning) message.reasoning_content = a.reasoning;
    if (a.calls.length) message.tool_calls = openai.calls(a);
    return {
      id: a.id,
      object: "chat.completion",
      model: r.model,
      choices: [{ index: 0, message, finish_reason: openai.stop(a) }],
      usage: openai.usage(a.usage),
    };
  },
  stream(a, r) {
    const chunk = (delta, finish = null) =>
      sse({
        id: a.id,
        object: "chat.completion.chunk",
        model: r.model,
        choices: [{ index: 0, delta, finish_reason: finish }],
        usage: null,
      });
    return [
      chunk({ role: "assistant", content: "" }),
      ...(a.reasoning ? [chunk({ reasoning_content: a.reasoning })] : []),
      ...pieces(a.text).map((p) => chunk({ content: p })),
      ...(a.refusal ? [chunk({ refusal: a.refusal })] : []),
      ...openai
        .calls(a)
        .flatMap((c, index) => [
          chunk({
            tool_calls: [{ index, id: c.id, type: "function", function: { name: c.function.name, arguments: "" } }],
          }),
          ...pieces(c.function.arguments).map((p) => chunk({ tool_calls: [{ index, function: { arguments: p } }] })),
        ]),
      chunk({}, openai.stop(a)),
      sse({ id: a.id, object: "chat.completion.chunk", model: r.model, choices: [], usage: openai.usage(a.usage) }),
      sse("[DONE]"),
    ];
  },
  error: (e) => ({ error: { message: e.message, type: e.type, param: null, code: e.code ?? null } }),
};

// ---- OpenAI, responses ----

const responses = {
  read(body, fault) {
    const calls = new OpenCalls(fault),
      messages = [];
    const last = () =>
      messages.at(-1)?.role === "assistant"
        ? messages.at(-1)
        : (messages.push({ role: "assistant", content: "", calls: [] }), messages.at(-1));
    if (!Array.isArray(body.input)) fault("input is not a list of items");
    let answering = false;
    for (const [i, item] of (body.input ?? []).entries()) {
      if (item.type === "function_call_output") {
        calls.answer(item.call_id);
        answering = true;
        if (typeof item.output !== "string") fault(`item ${i}: the output is not a string`);
        messages.push({ role: "tool", id: item.call_id, content: item.output });
        continue;
      }
      if (answering || item.role === "user") calls.rest(`item ${i}`);
      answering = false;
      if (item.type === "function_call") {
        calls.call(item.call_id, item.name);
        last().calls.push({
          id: item.call_id,
          name: item.name,
          arguments: parsedArguments(fault, item.arguments, `item ${i}`),
        });
      } else if (item.type === "reasoning") {
        if (!body.background && !item.encrypted_content)
          fault(`item ${i}: reasoning that is neither stored nor encrypted`);
      } else if (item.role === "user") {
        messages.push({ role: "user", content: item.content });
      } else if (item.role === "assistant") {
        last().content += Array.isArray(item.content) ? item.content.map((p) => p.text ?? "").join("") : item.content;
      } else fault(`item ${i}: neither a message nor a call: ${JSON.stringify(item).slice(0, 80)}`);
    }
    calls.rest("the end");
    for (const t of body.tools ?? []) {
      if (t.type !== "function" || "function" in t) fault("a tool is not of the flat form");
      if (typeof t.strict !== "boolean") fault(`strict is not said of tool ${t.name}`);
      tool(fault, t.name, t.parameters, "tools");
    }
    const format = body.text?.format;
    if (format) {
      if (format.type !== "json_schema" || !word.test(format.name ?? "") || !isObject(format.schema))
        fault("text.format is no json_schema");
      else if (format.strict) strictSchema(fault, format.schema, "$");
    }
    if (body.background && (!body.store || !body.stream)) fault("background without store and stream");
    if (!body.background && body.store !== false) fault("store is not false");
    for (const k of ["seed", "stop", "messages", "max_tokens"]) if (k in body) fault(`there is no ${k} in this API`);
    return {
      system: body.instructions ?? null,
      messages,
      tools: (body.tools ?? []).map((t) => ({ name: t.name, description: t.description, schema: t.parameters })),
      choice: body.tool_choice ?? null,
      answer: format?.schema ?? null,
      max_tokens: body.max_output_tokens ?? null,
      effort: body.reasoning?.effort ?? null,
      background: body.background === true,
    };
  },
  items(a) {
    return [
      ...(a.reasoning
        ? [
            {
              type: "reasoning",
              id: `rs_${a.id}`,
              summary: [],
              encrypted_content: Buffer.from(a.reasoning).toString("base64"),
            },
          ]
        : []),
      ...(a.text || !a.calls.length
        ? [
            {
              type: "message",
              id: `msg_${a.id}`,
              status: "completed",
              role: "assistant",
              content: [
                a.refusal
                  ? { type: "refusal", refusal: a.refusal }
                  : { type: "output_text", text: a.text, annotations: [] },
              ],
            },
          ]
        : []),
      ...a.calls.map((c) => ({
        type: "function_call",
        id: `fc_${c.id}`,
        call_id: c.id,
        name: c.name,
        arguments: argumentsText(c),
        status: "completed",
      })),
    ];
  },
  whole(a, r, status) {
    const short = { length: "max_output_tokens", filter: "content_filter" }[a.stop];
    return {
      id: a.id,
      object: "response",
      model: r.model,
      status: status ?? (short ? "incomplete" : "completed"),
      error: null,
      incomplete_details: short ? { reason: short } : null,
      output: status ? [] : responses.items(a),
      usage: status
        ? null
        : {
            input_tokens: a.usage.input,
            input_tokens_details: { cached_tokens: a.usage.cached ?? 0 },
            output_tokens: a.usage.output,
            output_tokens_details: { reasoning_tokens: a.usage.reasoning ?? 0 },
            total_tokens: a.usage.input + a.usage.output,
          },
    };
  },
  stream(a, r) {
    let n = 0;
    const event = (type, more) => sse({ type, sequence_number: n++, ...more }, type);
    const out = [event("response.created", { response: responses.whole(a, r, "in_progress") })];
    responses.items(a).forEach((item, output_index) => {
      const place = { item_id: item.id, output_index };
      out.push(
        event("response.output_item.added", {
          output_index,
          item: { ...item, content: item.content && [], arguments: item.arguments && "" },
        }),
      );
      if (item.type === "message") {
        const kind = a.refusal ? "refusal" : "output_text";
        for (const delta of pieces(a.refusal ?? a.text))
          out.push(event(`response.${kind}.delta`, { ...place, content_index: 0, delta }));
        if (!a.refusal) out.push(event("response.output_text.done", { ...place, content_index: 0, text: a.text }));
      }
      if (item.type === "function_call") {
        for (const delta of pieces(item.arguments))
          out.push(event("response.function_call_arguments.delta", { ...place, delta }));
        out.push(
          event("response.function_call_arguments.done", { ...place, name: item.name, arguments: item.arguments }),
        );
      }
      out.push(event("response.output_item.done", { output_index, item }));
    });
    const response = responses.whole(a, r);
    out.push(event(`response.${response.status}`, { response }));
    return out;
  },
  error: openai.error,
};

// ---- Anthropic ----

const anthropic = {
  read(body, fault, headers) {
    if (headers["anthropic-version"] !== "2023-06-01") fault(`anthropic-version is ${headers["anthropic-version"]}`);
    if (!Number.isInteger(body.max_tokens) || body.max_tokens < 1) fault("max_tokens is not given");
    const messages = [],
      blocksOf = (m) => (typeof m.content === "string" ? [{ type: "text", text: m.content }] : (m.content ?? []));
    let open = [],
      before = null;
    (body.messages ?? []).forEach((m, i) => {
      if (m.role !== "user" && m.role !== "assistant") fault(`message ${i}: there is no role ${m.role}`);
      if (i === 0 && m.role !== "user") fault("the first message is not the user's");
      if (m.role === before) fault(`message ${i}: two messages of the ${m.role} after one another`);
      before = m.role;
      const blocks = blocksOf(m),
        results = blocks.filter((b) => b.type === "tool_result");
      if (!blocks.length) fault(`message ${i} is empty`);
      for (const b of blocks) if (b.type === "text" && !b.text?.trim()) fault(`message ${i}: a blank text block`);
      if (m.role === "user") {
        const ids = results.map((b) => b.tool_use_id);
        if (JSON.stringify([...ids].sort()) !== JSON.stringify([...open].sort()))
          fault(`message ${i}: results of ${ids}, and the calls were ${open}`);
        if (blocks.findLastIndex((b) => b.type === "tool_result") >= results.length)
          fault(`message ${i}: a result behind other blocks`);
        open = [];
        for (const b of results)
          messages.push({ role: "tool", id: b.tool_use_id, content: b.content, error: b.is_error === true });
        const text = blocks
          .filter((b) => b.type === "text")
          .map((b) => b.text)
          .join("\n");
        if (text) messages.push({ role: "user", content: text });
      } else {
        if (open.length) fault(`message ${i}: calls without results: ${open}`);
        const uses = blocks.filter((b) => b.type === "tool_use");
        for (const b of uses)
          if (!word.test(b.id) || !isObject(b.input)) fault(`message ${i}: a tool_use without a good id or input`);
        open = uses.map((b) => b.id);
        messages.push({
          role: "assistant",
          content: blocks
            .filter((b) => b.type === "text")
            .map((b) => b.text)
            .join(""),
          calls: uses.map((b) => ({ id: b.id, name: b.name, arguments: b.input })),
        });
      }
    });
    if (open.length) fault(`the end: calls without results: ${open}`);
    for (const t of body.tools ?? []) tool(fault, t.name, t.input_schema, "tools");
    if ((JSON.stringify(body).match(/"cache_control"/g) ?? []).length > 4) fault("more than four marks for the cache");
    const format = body.output_config?.format;
    if (format) strictSchema(fault, format.schema, "$", true);
    if (body.temperature > 1) fault("temperature is not within 0 to 1");
    return {
      system: typeof body.system === "string" ? body.system : (body.system?.map((b) => b.text).join("\n") ?? null),
      messages,
      tools: (body.tools ?? []).map((t) => ({ name: t.name, description: t.description, schema: t.input_schema })),
      choice: body.tool_choice ?? null,
      answer: format?.schema ?? null,
      max_tokens: body.max_tokens,
      stops: body.stop_sequences ?? null,
      effort: body.output_config?.effort ?? null,
    };
  },
  blocks: (a) => [
    ...(a.reasoning ? [{ type: "thinking", thinking: a.reasoning, signature: `sig+${a.id}/=` }] : []),
    ...(a.text ? [{ type: "text", text: a.text }] : []),
    ...a.calls.map((c) => ({ type: "tool_use", id: c.id, name: c.name, input: c.arguments ?? {} })),
  ],
  usage: (u) => ({
    input_tokens: u.input - (u.cached ?? 0) - (u.cache_write ?? 0),
    cache_read_input_tokens: u.cached ?? 0,
    cache_creation_input_tokens: u.cache_write ?? 0,
    output_tokens: u.output,
  }),
  stop: (a) =>
    ({ end: "end_turn", calls: "tool_use", length: "max_tokens", refusal: "refusal", filter: "refusal" })[a.stop] ??
    a.stop,
  whole: (a, r) => ({
    id: a.id,
    type: "message",
    role: "assistant",
    model: r.model,
    content: anthropic.blocks(a),
    stop_reason: anthropic.stop(a),
    stop_sequence: null,
    usage: anthropic.usage(a.usage),
  }),
  stream(a, r) {
    const event = (type, more) => sse({ type, ...more }, type);
    const out = [
      event("message_start", {
        message: {
          ...anthropic.whole(a, r),
          content: [],
          stop_reason: null,
          usage: { ...anthropic.usage(a.usage), output_tokens: 1 },
        },
      }),
      event("ping"),
    ];
    anthropic.blocks(a).forEach((block, index) => {
      const delta = (d) => out.push(event("content_block_delta", { index, delta: d }));
      const empty = { text: { text: "" }, thinking: { thinking: "", signature: "" }, tool_use: { input: {} } }[
        block.type
      ];
      out.push(event("content_block_start", { index, content_block: { ...block, ...empty } }));
      if (block.type === "text") pieces(block.text).forEach((text) => delta({ type: "text_delta", text }));
      if (block.type === "thinking") {
        pieces(block.thinking).forEach((thinking) => delta({ type: "thinking_delta", thinking }));
        delta({ type: "signature_delta", signature: block.signature });
      }
      if (block.type === "tool_use")
        pieces(argumentsText({ arguments: block.input })).forEach((partial_json) =>
          delta({ type: "input_json_delta", partial_json }),
        );
      out.push(event("content_block_stop", { index }));
    });
    out.push(
      event("message_delta", {
        delta: { stop_reason: anthropic.stop(a), stop_sequence: null },
        usage: { output_tokens: a.usage.output },
      }),
      event("message_stop"),
    );
    return out;
  },
  error: (e) => ({ type: "error", error: { type: e.type, message: e.message }, request_id: "req_1" }),
};

// ---- Ollama ----

const ollama = {
  read(body, fault) {
    const messages = [],
      system = [];
    let open = [];
    if (typeof body.stream !== "boolean") fault("stream is not said");
    (body.messages ?? []).forEach((m, i) => {
      if (m.role === "tool") {
        if (!open.includes(m.tool_name)) fault(`message ${i}: an answer of ${m.tool_name}, and open are ${open}`);
        else open.splice(open.indexOf(m.tool_name), 1);
        messages.push({ role: "tool", name: m.tool_name, content: m.content });
        return;
      }
      if (open.length) fault(`message ${i} comes before ${open} is answered`);
      open = [];
      if (typeof m.content !== "string") fault(`message ${i}: the content is not a string`);
      if (m.role === "system") system.push(m.content);
      else if (m.role === "user") messages.push({ role: "user", content: m.content });
      else if (m.role === "assistant") {
        for (const c of m.tool_calls ?? [])
          if (!isObject(c.function?.arguments)) fault(`message ${i}: arguments are no object`);
        open = (m.tool_calls ?? []).map((c) => c.function?.name);
        messages.push({
          role: "assistant",
          content: m.content,
          calls: (m.tool_calls ?? []).map((c) => ({ name: c.function.name, arguments: c.function.arguments })),
        });
      } else fault(`message ${i}: there is no role ${m.role}`);
    });
    if (open.length) fault(`the end comes before ${open} is answered`);
    for (const t of body.tools ?? []) tool(fault, t.function?.name, t.function?.parameters, "tools");
    if ("tool_choice" in body) fault("there is no tool_choice in this API");
    return {
      system: system.join("\n") || null,
      messages,
      tools: (body.tools ?? []).map((t) => ({
        name: t.function.name,
        description: t.function.description,
        schema: t.function.parameters,
      })),
      choice: null,
      answer: body.format ?? null,
      max_tokens: body.options?.num_predict ?? null,
      seed: body.options?.seed ?? null,
      stops: body.options?.stop ?? null,
      effort: body.think ?? null,
    };
  },
  calls: (a) => a.calls.map((c, index) => ({ function: { index, name: c.name, arguments: c.arguments ?? {} } })),
  line: (a, r, message, more) =>
    `${JSON.stringify({ model: r.model, created_at: "2026-01-01T00:00:00Z", message: { role: "assistant", ...message }, ...more })}\n`,
  done: (a) => ({
    done: true,
    done_reason: a.stop === "length" ? "length" : "stop",
    prompt_eval_count: a.usage.input,
    eval_count: a.usage.output,
  }),
  whole: (a, r) =>
    JSON.parse(
      ollama.line(
        a,
        r,
        {
          content: a.text,
          ...(a.reasoning ? { thinking: a.reasoning } : {}),
          ...(a.calls.length ? { tool_calls: ollama.calls(a) } : {}),
        },
        ollama.done(a),
      ),
    ),
  stream: (a, r) => [
    ...(a.reasoning ? [ollama.line(a, r, { content: "", thinking: a.reasoning }, { done: false })] : []),
    ...pieces(a.text).map((content) => ollama.line(a, r, { content }, { done: false })),
    ...ollama.calls(a).map((c) => ollama.line(a, r, { content: "", tool_calls: [c] }, { done: false })),
    ollama.line(a, r, { content: "" }, ollama.done(a)),
  ],
  error: (e) => ({ error: e.message }),
};

export const wires = { openai, openai_responses: responses, anthropic, ollama };

// What a provider gave must come back as it was: [what, found in a later body that holds one of the answer's calls].
export function reasoningKept(provider, a, raw, body) {
  if (provider === "anthropic") {
    const [thinking] = anthropic.blocks(a);
    return (body.messages ?? []).some(
      (m) =>
        Array.isArray(m.content) &&
        m.content.some((b) => b.signature === thinking.signature && b.thinking === thinking.thinking),
    );
  }
  if (provider === "openai_responses") return raw.includes(JSON.stringify(responses.items(a)[0]));
  if (provider === "ollama") return (body.messages ?? []).some((m) => m.thinking === a.reasoning);
  return true; // chat completions have no place for it
}
