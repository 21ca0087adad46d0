mod bounds;
mod properties;
mod table;
mod values;

use super::*;
