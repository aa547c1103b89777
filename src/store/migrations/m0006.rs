//! Rollouts: how a version reaches users, what was decided on the way, and what was seen.

use super::Migration;
use crate::store::schema::Door::{Feed, Tx};
use crate::store::schema::Type::{Int, Text};
use crate::store::schema::{Index, Table, col, opt};

pub(super) const MIGRATION: Migration = Migration { number: 6, tables: TABLES, indexes: INDEXES };

const TABLES: &[Table] = &[
    Table {
        name: "rollout",
        door: Tx,
        columns: &[
            col("uid", Text),
            col("model", Text),
            // The version on trial.
            col("canary", Text),
            col("target", Text),
            // JSON of all that was decided at the start: versions, plan, policy, limits; its event has the digest.
            col("setup", Text),
            // JSON of the state after the last move.
            col("state", Text),
            // 1 until it has ended.
            col("open", Int),
            // The number of the last move.
            col("moves", Int),
            col("created", Int),
            col("changed", Int),
            col("actor", Text),
            // The event of the last move.
            col("event", Int),
        ],
        keys: &["PRIMARY KEY (uid)"],
    },
    // What was decided, by whom and why.
    Table {
        name: "rollout_move",
        door: Tx,
        columns: &[
            col("rollout", Text),
            col("seq", Int),
            // What happened: start, judged, pause …
            col("what", Text),
            // May quote what a stranger answered, so the event has a digest of it.
            col("reason", Text),
            col("state", Text),
            // JSON of what the judge found, when it decided.
            opt("judgement", Text),
            col("at", Int),
            col("actor", Text),
            col("event", Int),
        ],
        keys: &["PRIMARY KEY (rollout, seq)", "FOREIGN KEY (rollout) REFERENCES rollout (uid)"],
    },
    // What was seen between two moves; the later one's event has the digest over it.
    Table {
        name: "rollout_tick",
        door: Feed,
        columns: &[
            col("rollout", Text),
            col("id", Int),
            // The move that it follows.
            col("base", Int),
            col("at", Int),
            // JSON of the state after it.
            col("state", Text),
            col("reason", Text),
            // Of a window: where it begins and ends, and where the next one begins for its source.
            opt("since", Int),
            opt("upto", Int),
            opt("cursor", Text),
            // JSON of the figures, of what the judge made of them, and of the durations.
            opt("figures", Text),
            opt("judgement", Text),
            opt("latency", Text),
        ],
        keys: &["PRIMARY KEY (rollout, id)"],
    },
    // Who drives it. The highest fence has it; a row for each time that the lease was taken or renewed, of which the last stays.
    Table {
        name: "rollout_lease",
        door: Feed,
        columns: &[
            col("rollout", Text),
            col("fence", Int),
            col("renewal", Int),
            col("host", Text),
            col("pid", Int),
            col("until", Int),
        ],
        keys: &["PRIMARY KEY (rollout, fence, renewal)"],
    },
];

const INDEXES: &[Index] = &[
    Index { name: "rollout_model", table: "rollout", on: "(model, event)" },
    Index { name: "rollout_open", table: "rollout", on: "(open) WHERE open = 1" },
    Index { name: "rollout_tick_base", table: "rollout_tick", on: "(rollout, base)" },
];
