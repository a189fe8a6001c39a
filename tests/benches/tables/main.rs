//! The performance tables: `make bench`, or some of them with `make bench TABLES="messages wire"`.
//!
//! Each module prints one table, with its yardsticks measured in the same run, on the real parts:
//! server, TLS over loopback, SQLCipher, MLS. Nothing here asserts a speed. Figures are medians; on
//! a busy machine the ratios say more than the figures.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may fail")]

mod catch_up;
mod delivery;
mod documents;
mod groups;
mod log;
mod look;
mod messages;
mod reactions;
mod server;
mod store;
mod table;
mod texts;
mod wire;
mod world;
mod yardsticks;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, folder] = &arguments[..]
        && flag == world::SERVE
    {
        return world::serve(folder.as_ref()).await;
    }
    // Without `--bench` it is `cargo test`, which only asks whether it is built.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let wanted = |name: &str| {
        let mut names = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        names.peek().is_none() || names.any(|wanted| wanted == name)
    };
    if wanted("messages") {
        Box::pin(messages::print()).await;
    }
    if wanted("catch-up") {
        catch_up::print().await;
    }
    if wanted("delivery") {
        delivery::print().await;
    }
    if wanted("store") {
        store::print().await;
    }
    if wanted("look") {
        look::print().await;
    }
    if wanted("reactions") {
        reactions::print().await;
    }
    if wanted("server") {
        server::print().await;
    }
    if wanted("groups") {
        Box::pin(groups::print()).await;
    }
    if wanted("documents") {
        Box::pin(documents::print()).await;
    }
    if wanted("wire") {
        Box::pin(wire::print()).await;
    }
}
