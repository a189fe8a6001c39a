//! Tables on the screen, and the numbers in them.

use std::time::{Duration, Instant};

/// The title of a table and the names of its columns.
pub fn title(title: &str, columns: &[&str]) {
    println!("\n{title}");
    println!("{}", "─".repeat(title.chars().count()));
    let mut line = format!("{:<62}", "");
    columns.iter().for_each(|column| line.push_str(&format!("{column:>11}")));
    println!("{}", line.trim_end());
}

/// A row of a table.
pub fn row(name: &str, cells: &[String]) {
    let mut line = format!("{name:<62}");
    cells.iter().for_each(|cell| line.push_str(&format!("{cell:>11}")));
    println!("{}", line.trim_end());
}

/// A remark below a table.
pub fn remark(text: &str) {
    println!("  {text}");
}

/// Measured times, sorted.
pub struct Times(Vec<Duration>);

impl Times {
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    /// The time below which this share of all lies.
    pub fn at(&self, share: f64) -> Duration {
        self.0[((self.0.len() - 1) as f64 * share).round() as usize]
    }

    pub fn median(&self) -> Duration {
        self.at(0.5)
    }
}

/// Runs `job` so many times after a tenth of that to warm up.
pub fn measure(count: usize, mut job: impl FnMut(usize)) -> Times {
    (0..count / 10).for_each(&mut job);
    let time = |number| {
        let began = Instant::now();
        job(number);
        began.elapsed()
    };
    Times::of((0..count).map(time).collect())
}

pub fn us(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e6)
}

pub fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}
