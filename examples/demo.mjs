// What `make demo` plays: money that survives kill -9, then an agent that asks before it gives any back.
await import("./bank_demo.mjs");
await import("./triage_demo.mjs");
