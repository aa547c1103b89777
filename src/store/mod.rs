//! Where state lives: the repository on disk, the database, the objects, and the two doors through which they change.

pub mod objects;
