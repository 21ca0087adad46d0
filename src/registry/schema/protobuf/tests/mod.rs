mod bounds;
mod properties;
mod table;
