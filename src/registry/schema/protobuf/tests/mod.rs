mod bounds;
mod names;
mod properties;
mod table;
mod tags;
mod values;
