//! The numbers of rows: a window is what is counted anew, sums are those of the rows, and nothing depends on order.
