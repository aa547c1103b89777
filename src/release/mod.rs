//! What needs several domain rooms and adapters at once.
