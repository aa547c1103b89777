//! What needs several domain rooms and adapters at once.

pub mod checkout;
pub mod dataset;
pub mod evaluate;
pub mod gates;
pub mod gather;
pub mod promote;
pub mod register;
pub mod rollback;
