mod bytes;
mod conversation;
mod documents;
mod entering;
mod reports;
mod reset;
mod running;
mod world;
