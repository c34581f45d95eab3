//! The view on a terminal.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table, TableState};

use super::table::{heading, headings, route_cells, share, title, upstream_cells};
use super::view::{RouteRow, UpstreamRow, View};

/// Lines of the course of the rate.
const COURSE: u16 = 4;
/// Most lines of upstreams.
const UPSTREAMS: u16 = 12;
/// Share of 5xx, in percent, from which a route is shown in red.
const BAD: f64 = 1.0;

pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let upstreams = view.upstreams();
    let room = (upstreams.len() as u16).clamp(1, UPSTREAMS) + 2;
    let [top, course, middle, bottom, keys] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(COURSE),
        Constraint::Min(4),
        Constraint::Length(room),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_heading(frame, top, view);
    let rows = view.routes();
    draw_course(frame, course, view, rows.get(view.chosen));
    draw_routes(frame, middle, view, &rows);
    draw_upstreams(frame, bottom, &upstreams);
    draw_keys(frame, keys, view);
}

fn draw_heading(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let strong = Style::new().add_modifier(Modifier::BOLD);
    let lines = vec![Line::styled(title(view), strong), Line::raw(heading(view))];
    frame.render_widget(Paragraph::new(lines), area);
    let mark = match (&view.fault, view.is_paused) {
        (Some(fault), _) => Line::styled(fault.clone(), Style::new().fg(Color::Red)),
        (None, true) => Line::styled("paused", Style::new().fg(Color::Yellow)),
        (None, false) => return,
    };
    frame.render_widget(Paragraph::new(mark).alignment(Alignment::Right), area);
}

/// Of the route that is chosen, once one is; otherwise of all.
fn draw_course(frame: &mut Frame<'_>, area: Rect, view: &View, chosen: Option<&RouteRow>) {
    let chosen = chosen.filter(|_| view.chosen > 0 || !view.filter.is_empty());
    let course = view.course(chosen.map(|row| &*row.name));
    let most = course.iter().copied().max().unwrap_or_default();
    let of = chosen.map_or("all routes", |row| &*row.name);
    let block = Block::new()
        .borders(Borders::TOP)
        .title(format!(" requests/s of {of}, at most {most} "));
    // The latest at the right edge.
    let width = usize::from(area.width);
    let mut bars = vec![0; width.saturating_sub(course.len())];
    bars.extend(course.iter().skip(course.len().saturating_sub(width)));
    let line = Sparkline::default()
        .data(bars)
        .style(Style::new().fg(Color::Cyan))
        .block(block);
    frame.render_widget(line, area);
}

fn draw_routes(frame: &mut Frame<'_>, area: Rect, view: &View, rows: &[RouteRow]) {
    let (names, _) = headings();
    let body = rows.iter().map(|row| {
        let style = match row {
            row if row.server_errors >= BAD => Style::new().fg(Color::Red),
            row if row.server_errors > 0.0 => Style::new().fg(Color::Yellow),
            _ => Style::new(),
        };
        Row::new(route_cells(row).map(Cell::from)).style(style)
    });
    let mut about = format!(" routes by {} ", view.order.name());
    if !view.filter.is_empty() || view.is_writing {
        about.push_str(&format!("· with \"{}\" ", view.filter));
    }
    let table = table(names, body, about).row_highlight_style(Modifier::REVERSED);
    let mut state = TableState::default().with_selected(Some(view.chosen));
    frame.render_stateful_widget(table, area, &mut state);
}

fn draw_upstreams(frame: &mut Frame<'_>, area: Rect, rows: &[UpstreamRow]) {
    let (_, names) = headings();
    let body = rows.iter().map(|row| {
        let style = match &row.trouble {
            Some(_) if row.takes_traffic == 0 => Style::new().fg(Color::Red),
            Some(_) => Style::new().fg(Color::Yellow),
            None => Style::new(),
        };
        Row::new(upstream_cells(row).map(Cell::from)).style(style)
    });
    frame.render_widget(table(names, body, " upstreams ".to_owned()), area);
}

fn table<'a>(names: [&'a str; 7], rows: impl Iterator<Item = Row<'a>>, about: String) -> Table<'a> {
    let widths = [
        Constraint::Min(16),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(18),
    ];
    Table::new(rows, widths)
        .header(Row::new(names).style(Modifier::DIM))
        .block(Block::new().borders(Borders::TOP).title(about))
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let text = if view.is_writing {
        format!("name has: {}▏  Enter keeps it, Esc drops it", view.filter)
    } else {
        let errors = share(view.whole().errors);
        format!("q end  s sort  ↑↓ choose  / filter  space pause   5xx of 10 looks: {errors}")
    };
    frame.render_widget(Paragraph::new(Line::styled(text, Modifier::DIM)), area);
}
