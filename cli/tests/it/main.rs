//! The binary itself: what it prints, what it starts, and how that ends.

mod binary;
mod chaos;
mod commands;
mod documents;
mod export;
mod hiccups;
mod killed;
mod local_system;
mod network;
mod operations;
mod refusals;
