//! Tests of the whole room: what a person writes, what kf makes of it, what it says.
