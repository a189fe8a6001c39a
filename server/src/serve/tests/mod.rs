mod bytes;
mod conversation;
mod entering;
mod reports;
mod running;
mod world;
