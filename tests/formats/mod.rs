//! Plans in every format: the same execution gives the same graph, whatever it
//! was printed as and whatever was drawn around it.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look for psql in the environment"
)]

mod agree;
mod damage;
mod pastes;
mod queries;
mod servers;
mod wrappings;
