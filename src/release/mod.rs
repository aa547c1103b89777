//! What needs several domain rooms and adapters at once.

pub mod alert;
pub mod answer;
pub mod attest;
pub mod backup;
pub mod calibration;
pub mod card;
pub mod checkout;
pub mod daily;
pub mod dataset;
pub mod dr;
pub mod drift;
pub mod embed;
pub mod emergency;
pub mod evaluate;
pub mod figures;
pub mod folder;
pub mod freeze;
pub mod fsck;
pub mod gates;
pub mod gather;
pub mod gc;
pub mod graph;
pub mod health;
pub mod index;
pub mod ingest;
pub mod intact;
pub mod judged;
pub mod judging;
pub mod lineage;
pub mod monitor;
pub mod move_state;
mod parallel;
pub mod promote;
pub mod register;
pub mod remote;
pub mod rollback;
pub mod rollout;
pub mod search;
pub mod snapshot;

pub mod eval_view;
pub mod system;
pub mod tenant;
#[cfg(test)]
mod testing;
