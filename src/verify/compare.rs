//! Two plans of one statement, compared.
