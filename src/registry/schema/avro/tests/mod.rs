mod bounds;
mod properties;
mod table;

use super::*;
