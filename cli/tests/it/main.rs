//! The binary itself: what it prints, what it starts, and how that ends.

mod binary;
mod commands;
mod local_system;
