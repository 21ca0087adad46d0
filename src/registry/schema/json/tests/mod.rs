mod bounds;
mod table;
mod tags;
mod values;
