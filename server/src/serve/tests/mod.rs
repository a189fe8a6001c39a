mod bytes;
mod conversation;
mod entering;
mod running;
mod world;
