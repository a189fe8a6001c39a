mod bytes;
mod conversation;
mod entering;
mod reports;
mod reset;
mod running;
mod world;
