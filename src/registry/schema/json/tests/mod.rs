mod bounds;
mod table;
mod values;
