"""A labelled week: what a team's Alertmanagers send in seven days, replayed, and judged against labels."""
