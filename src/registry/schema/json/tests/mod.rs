mod bounds;
mod table;
